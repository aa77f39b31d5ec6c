/** How the writer's memory follows its transaction. */
import type { Memory } from './group-commit.ts';
import type { Tables } from './tables.ts';

export function memoryOf({ nodes, queues, tally, stored, arrivals }: Pick<Tables, 'nodes' | 'queues' | 'tally' | 'stored' | 'arrivals'>): Memory {
  return {
    mark() {
      const [moves, changes, places, came] = [tally.mark(), stored.mark(), queues.mark(), arrivals?.mark() ?? 0];
      return () => {
        tally.backTo(moves);
        stored.backTo(changes);
        queues.backTo(places);
        arrivals?.backTo(came);
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
      arrivals?.backTo(0);
      queues.clear();
      nodes.clear();
    },
  };
}
