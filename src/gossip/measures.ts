/** What gossip counts of its messages: as this node's neighbours handed them over, each once, and as it made them. Passing on is the library's. */
import type { GossipVerdict } from '../domain/gossip-port.ts';
import { Counts } from '../domain/measure.ts';

export class GossipMeasures {
  readonly received = new Counts<GossipVerdict>(['accept', 'ignore', 'reject']);
  readonly published = new Counts(['published']);
  /** Of the messages alone, without what carries them. */
  readonly bytes = new Counts(['received', 'published']);
}
