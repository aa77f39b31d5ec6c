/** How the writer's memory follows its transaction. */
import type { Memory } from './group-commit.ts';
import type { Tables } from './tables.ts';

export function memoryOf({ nodes, queues, tally, stored, arrivals, audit }: Pick<Tables, 'nodes' | 'queues' | 'tally' | 'stored' | 'arrivals' | 'audit'>): Memory {
  return {
    mark() {
      const [moves, changes, places, came] = [tally.mark(), stored.mark(), queues.mark(), arrivals?.mark() ?? 0];
      const end = audit.mark();
      return () => {
        tally.backTo(moves);
        stored.backTo(changes);
        queues.backTo(places);
        arrivals?.backTo(came);
        audit.backTo(end);
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
      audit.backTo(undefined);
      nodes.clear();
    },
  };
}
