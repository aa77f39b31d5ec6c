/** A link between two nodes of a `TrustMesh`: what is asked goes through the bytes that it would be on the wire. */
import { unavailable } from '../../src/domain/errors.ts';
import type { Link } from '../../src/domain/mesh-port.ts';
import type { AnswerTo, ControlMessage, PeerQuery } from '../../src/domain/messages.ts';
import type { PeerIdentity } from '../../src/domain/trust.ts';
import { decodeAnswer, decodeQuery, encodeAnswer, encodeQuery } from '../../src/mesh/queries.ts';
import type { TrustNode } from './trust-mesh.ts';

export class TrustLink implements Link {
  readonly epoch = 1;
  readonly previousEpoch = undefined;
  readonly seenEpochs = [];
  isUp = true;
  readonly from: TrustNode;
  readonly to: TrustNode;
  readonly peer: PeerIdentity;

  constructor(from: TrustNode, to: TrustNode, peer: PeerIdentity) {
    this.from = from;
    this.to = to;
    this.peer = peer;
  }

  send(message: ControlMessage): void {
    const back = this.to.links.get(this.from.nodeId);
    if (!this.isUp || back === undefined) return;
    this.to.net.track(this.to.received(back, message));
  }

  sendEvents(): Promise<void> {
    return Promise.resolve();
  }

  async ask<Q extends PeerQuery>(query: Q): Promise<AnswerTo<Q>> {
    const back = this.to.links.get(this.from.nodeId);
    if (!this.isUp || back === undefined) throw unavailable('the link is down');
    const answer = await this.to.asked(back, decodeQuery(encodeQuery(query)));
    if (!this.isUp) throw unavailable('the link went down');
    return decodeAnswer(encodeAnswer(answer)) as AnswerTo<Q>;
  }
}
