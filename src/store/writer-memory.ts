/** How the writer's memory follows its transaction. */
import type { Memory } from './group-commit.ts';
import type { Tables } from './tables.ts';

export function memoryOf({ nodes, queues, tally }: Pick<Tables, 'nodes' | 'queues' | 'tally'>): Memory {
  const forget = (): void => {
    nodes.clear();
    queues.clear();
  };
  return {
    mark() {
      const moves = tally.mark();
      return () => {
        tally.backTo(moves);
        forget();
      };
    },
    flush() {
      tally.flush();
    },
    reset() {
      tally.backTo(0);
      forget();
    },
  };
}
