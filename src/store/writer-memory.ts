/** How the writer's memory follows its transaction. */
import type { Memory } from './group-commit.ts';
import type { Tables } from './tables.ts';

export function memoryOf({ nodes, queues, tally, stored }: Pick<Tables, 'nodes' | 'queues' | 'tally' | 'stored'>): Memory {
  return {
    mark() {
      const [moves, changes, places] = [tally.mark(), stored.mark(), queues.mark()];
      return () => {
        tally.backTo(moves);
        stored.backTo(changes);
        queues.backTo(places);
        nodes.clear();
      };
    },
    flush() {
      tally.flush();
      stored.flush();
      queues.flush();
    },
    reset() {
      tally.backTo(0);
      stored.backTo(0);
      queues.clear();
      nodes.clear();
    },
  };
}
