/** Work for a store: invocations accepted, started, heard and finished, as many at once as wanted. */
import { flightOfInvocation } from '../../../src/domain/ids.ts';
import type { NodeId } from '../../../src/domain/ids.ts';
import type { Store } from '../../../src/domain/store-port.ts';
import { Story, textTask, utf8 } from '../../support/temp-store.ts';

const atOnce = 64;
const output = utf8('all is done, and nothing is left to do\n');

/** What was finished within how long. */
export interface Rate {
  readonly count: number;
  readonly seconds: number;
}

export const perSecond = ({ count, seconds }: Rate): number => count / seconds;

export class Load {
  readonly #store: Store;
  readonly #story: Story;
  readonly #me: NodeId;
  readonly #target: string;

  constructor(store: Store, { nodeId, nodeName, nowMs }: { readonly nodeId: NodeId; readonly nodeName: string; readonly nowMs: number }) {
    this.#store = store;
    this.#me = nodeId;
    this.#story = new Story(nowMs);
    this.#target = `@load@${nodeName}#main`;
  }

  /** Goes on until `isOver`. */
  async run(isOver: () => boolean): Promise<Rate> {
    let count = 0;
    const startMs = performance.now();
    const lane = async (): Promise<void> => {
      while (!isOver()) {
        await this.#one();
        count += 1;
      }
    };
    await Promise.all(Array.from({ length: atOnce }, lane));
    return { count, seconds: (performance.now() - startMs) / 1000 };
  }

  async #one(): Promise<void> {
    const { write } = this.#store;
    const invocation = this.#story.invocation({ origin: this.#me, owner: this.#me }, { target: this.#target });
    const flightId = flightOfInvocation(invocation.id);
    await write.accept(this.#story.accept(invocation, { kind: 'local', queueLimit: 1e9 }, { task: textTask('look at it, and say what is left to do') }));
    await write.start({ stamp: this.#story.stamp(), flightId });
    await write.finish({ stamp: this.#story.stamp(), flightId, outcome: { state: 'completed', exitCode: 0 }, last: [{ stream: 'stdout', bytes: output, stamp: this.#story.stamp() }] });
  }
}
