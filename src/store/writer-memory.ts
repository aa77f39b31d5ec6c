/** How the writer's memory follows its transaction. */
import type { Memory } from './group-commit.ts';
import type { Tables } from './tables.ts';

export function memoryOf({ nodes, queues, tally, stored }: Pick<Tables, 'nodes' | 'queues' | 'tally' | 'stored'>): Memory {
  const forget = (): void => {
    nodes.clear();
    queues.clear();
  };
  return {
    mark() {
      const [moves, changes] = [tally.mark(), stored.mark()];
      return () => {
        tally.backTo(moves);
        stored.backTo(changes);
        forget();
      };
    },
    flush() {
      tally.flush();
      stored.flush();
    },
    reset() {
      tally.backTo(0);
      stored.backTo(0);
      forget();
    },
  };
}
