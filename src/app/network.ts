/** The network side of a node: the port that others reach, the entrance for strangers, sessions with peers. */
import { randomBytes } from 'node:crypto';
import type { Admission } from '../broker/admission.ts';
import type { Chronicler } from '../broker/chronicler.ts';
import { formatHostPort, parseHostPort } from '../domain/host-port.ts';
import type { HostPort } from '../domain/host-port.ts';
import type { NodeId } from '../domain/ids.ts';
import type { LinkHandler } from '../domain/mesh-port.ts';
import type { Clock, Log, Random, Startable } from '../domain/ports.ts';
import type { Member } from '../domain/store-port.ts';
import type { MeshIdentity } from '../domain/trust.ts';
import { createMesh } from '../mesh/mesh.ts';
import type { NodeMesh } from '../mesh/node-mesh.ts';
import { clientTls } from '../trust/client-tls.ts';
import { Entrance } from '../trust/entrance.ts';
import { enrolmentHandler } from '../trust/enrolment.ts';
import type { EnrolmentDesk } from '../trust/enrolment.ts';
import { Front } from '../trust/front.ts';
import type { Refusal } from '../trust/front.ts';
import type { Issuer } from '../trust/mesh-authority.ts';
import { reachableAddresses } from './listen.ts';
import { RefusalLog } from './refusal-log.ts';

export interface NetworkParts {
  readonly nodeId: NodeId;
  readonly epoch: number;
  readonly previousEpoch: number;
  readonly seenEpochs: (nodeId: NodeId) => readonly number[];
  readonly version: string;
  readonly listen: readonly HostPort[];
  readonly seeds: readonly string[];
  readonly identity: MeshIdentity | undefined;
  readonly issuer: () => Issuer | undefined;
  readonly admission: () => Admission;
  readonly links: LinkHandler;
  readonly chronicler: Chronicler;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

export class Network implements Startable {
  readonly mesh: NodeMesh;
  readonly #parts: NetworkParts;
  readonly #front: Front;
  readonly #entrance: Entrance;

  constructor(parts: NetworkParts) {
    this.#parts = parts;
    const { clock, log, identity } = parts;
    const refusals = new RefusalLog(clock, log);
    const onRefused = (refusal: Refusal): void => refusals.refused(refusal);
    this.#entrance = new Entrance({
      clock,
      onRefused,
      handle: enrolmentHandler({ clock, nodeId: parts.nodeId, issuer: parts.issuer, desk: deskOf(parts.admission) }),
    });
    this.#front = new Front({
      judge: () => undefined,
      onMember: (socket, peer) => this.mesh.accept(socket, peer),
      onStranger: (socket, remoteAddress) => this.#entrance.admit(socket, remoteAddress),
      onRefused,
    });
    this.mesh = createMesh({
      identity,
      clock,
      log,
      random: parts.random,
      seeds: parts.seeds,
      handler: parts.links,
      tls: (own, expectation) => clientTls(own, expectation),
      hello: {
        epoch: parts.epoch,
        previousEpoch: parts.previousEpoch,
        seenEpochs: parts.seenEpochs,
        bootNonce: new Uint8Array(randomBytes(16)),
        version: parts.version,
        addresses: () => this.addresses().map(formatHostPort),
        hlc: () => parts.chronicler.stamp().hlc,
      },
    });
  }

  /** @throws BrokerError as `Front.start` does: a port that is taken, an address that is not this machine's */
  async start(): Promise<void> {
    this.#front.setIdentity(this.#parts.identity);
    await this.#front.start(this.#parts.listen);
    await this.mesh.start();
  }

  async stop(): Promise<void> {
    await this.#front.stop();
    await this.#entrance.stop();
    await this.mesh.stop();
  }

  /** Where others can reach this node; none before `start`. */
  addresses(): readonly HostPort[] {
    return reachableAddresses(this.#front.addresses());
  }

  setIdentity(identity: MeshIdentity): void {
    this.#front.setIdentity(identity);
    this.mesh.setIdentity(identity);
  }

  addMembers(members: readonly Member[]): void {
    this.mesh.addMembers(members.map(({ nodeId, name, addresses }) => ({ identity: { nodeId, name }, addresses })));
  }
}

/** Trust speaks of addresses as pairs, records as text. */
function deskOf(admission: () => Admission): EnrolmentDesk {
  return {
    quote: (applicant) => admission().quote({ ...applicant, addresses: applicant.addresses.map(formatHostPort) }),
    admit: async (applicant, grant, chain) => {
      const welcome = await admission().admit({ ...applicant, addresses: applicant.addresses.map(formatHostPort) }, grant, chain);
      const members = welcome.members.map((each) => ({ chain: each.chain, addresses: each.addresses.map((address) => parseHostPort(address)) }));
      return { meshName: welcome.meshName, members };
    },
  };
}
