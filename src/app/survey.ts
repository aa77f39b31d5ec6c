/** What is known of this machine before anything is set up on it. Looks, and changes nothing. */
import { hostname, networkInterfaces } from 'node:os';
import { nameFrom } from '../domain/address.ts';
import { flagsHere } from './config-view.ts';
import { silentLog } from './open-log.ts';
import type { Paths } from './paths.ts';
import { createSystemClock } from './system-clock.ts';
import { systemRandom } from './system-random.ts';
import { createTailnet, isOfTailnet, parseTailscaleFlag } from './tailnet.ts';

/** Of containers and virtual machines: nobody's network. */
const virtual = /^(docker|br-|veth|virbr|cni|flannel|lxc|lxd|podman|tailscale|utun|bridge|vmnet)/;
const mostAddresses = 4;

export interface Survey {
  readonly suggestedName: string;
  /** Of an earlier `up`, the environment and the config file. */
  readonly remembered: { readonly name?: string; readonly listen?: readonly string[] };
  /** The tailnet that this machine is connected to. */
  readonly tailnet?: { readonly addresses: readonly string[]; readonly name?: string };
  /** Of networks that are no tailnet; `name` of the interface. */
  readonly addresses: readonly { readonly host: string; readonly name: string }[];
}

/** @throws BrokerError `invalid` when the settings can't be understood */
export async function surveyHere({ paths, env }: { readonly paths: Paths; readonly env: Readonly<Record<string, string | undefined>> }): Promise<Survey> {
  const remembered = await flagsHere({ paths, env });
  const tailnet = createTailnet({ flag: parseTailscaleFlag(remembered.tailscale), env, clock: createSystemClock(), random: systemRandom, log: silentLog });
  await tailnet?.start();
  await tailnet?.stop();
  const { view } = tailnet ?? {};
  const addresses = Object.entries(networkInterfaces()).flatMap(([name, all = []]) =>
    all.filter((each) => each.family === 'IPv4' && !each.internal && !virtual.test(name) && !isOfTailnet(each.address)).map((each) => ({ host: each.address, name })),
  );
  return {
    suggestedName: nameFrom(hostname().split('.')[0] ?? '') ?? 'node',
    remembered: {
      ...(remembered.name === undefined ? {} : { name: remembered.name }),
      ...(remembered.listen === undefined ? {} : { listen: remembered.listen }),
    },
    ...(view?.kind === 'up' && view.status.addresses.length > 0
      ? { tailnet: { addresses: view.status.addresses, ...(view.status.name === undefined ? {} : { name: view.status.name }) } }
      : {}),
    addresses: addresses.slice(0, mostAddresses),
  };
}
