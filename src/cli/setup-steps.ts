/** What setting this machine up comes to: what is there already, and what would be done. Pure. */
import type { NodeStatus } from '../client/types.ts';
import { formatHostPort, gossipPort, meshPort } from '../domain/host-port.ts';
import type { Survey } from './host.ts';

/** Where nobody else reaches it. */
export const onlyHere = formatHostPort({ host: '127.0.0.1', port: meshPort });

export interface Step {
  readonly id: 'name' | 'reach' | 'start' | 'mesh';
  readonly isDone: boolean;
  readonly detail: string;
  /** That would do it, for who does it by hand. */
  readonly command?: string;
}

/** How others could reach this machine: nothing of it happens without a yes. */
export interface Way {
  readonly question: string;
  /** Flags of `up` after a yes, and after a no. */
  readonly flags: readonly string[];
  readonly otherwise: readonly string[];
  /** Where, in few words. */
  readonly where: string;
}

export function waysOf({ tailnet, addresses }: Survey): readonly Way[] {
  const lan = addresses.map(({ host, name }): Way => {
    const listen = formatHostPort({ host, port: meshPort });
    return { question: `May machines on the network of ${name} reach this node, at ${listen} and its port ${gossipPort}?`, flags: [`--listen=${listen}`], otherwise: [], where: `${listen}, on the network of ${name}` };
  });
  if (tailnet === undefined) return lan;
  const where = `${tailnet.addresses.map((host) => formatHostPort({ host, port: meshPort })).join(' and ')}, in the tailnet${tailnet.name === undefined ? '' : ` ${tailnet.name}`}`;
  const question = `May machines of your tailnet${tailnet.name === undefined ? '' : ` ${tailnet.name}`} reach this node, at ${tailnet.addresses.join(' and ')}, ports ${meshPort} and ${gossipPort}, and may it enter the mesh of your machines there by itself, when it finds exactly one?`;
  // A node that finds a mesh in its tailnet enters it: without a yes it must not look.
  return [{ question, flags: [], otherwise: ['--tailscale=off'], where }, ...lan];
}

/** @param status of the node that runs; undefined when none does */
export function stepsOf(survey: Survey, status: NodeStatus | undefined): readonly Step[] {
  const { remembered, suggestedName } = survey;
  const name = status?.name ?? remembered.name;
  const listen = status === undefined ? remembered.listen : status.listen;
  const ways = waysOf(survey);
  const up = ['beckon up --detach', ...(name === undefined ? [`--name ${suggestedName}`] : []), ...(listen === undefined ? [`--listen ${onlyHere}`, ...ways.flatMap(({ otherwise }) => otherwise.map((each) => each.replace('=', ' ')))] : [])].join(' ');
  return [
    name === undefined
      ? { id: 'name', isDone: false, detail: `this machine would be called ${suggestedName}` }
      : { id: 'name', isDone: true, detail: `this machine is called ${name}` },
    listen === undefined
      ? { id: 'reach', isDone: false, detail: `nobody else could reach it, unless you say yes${ways.length === 0 ? '; no network was found' : ` to one of: ${ways.map(({ where }) => where).join('; ')}`}` }
      : { id: 'reach', isDone: true, detail: `it listens at ${listen.join(' and ') || 'no address'}` },
    status === undefined ? { id: 'start', isDone: false, detail: 'its node would be started', command: up } : { id: 'start', isDone: true, detail: `its node runs Beckon ${status.version}` },
    status?.mesh === undefined
      ? { id: 'mesh', isDone: false, detail: 'you would be asked for the mesh of your machines: make one here, enter one with a token, or none', command: 'beckon mesh create, or: beckon mesh join TOKEN' }
      : { id: 'mesh', isDone: true, detail: `it is a member of ${status.mesh.name}` },
  ];
}
