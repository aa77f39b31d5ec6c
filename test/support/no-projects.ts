/** For nodes of tests that have none. */
import type { BrokerParts } from '../../src/broker/broker-parts.ts';

export const noProjects: BrokerParts['projects'] = {
  ports: {
    finder: {
      below: () => Promise.resolve({ roots: [], notes: [] }),
      around: () => Promise.resolve(undefined),
      look: (root) => Promise.resolve({ away: `${root} is not there` }),
    },
    watch: { keep: () => undefined, drop: () => undefined, stop: () => undefined },
  },
  config: () => Promise.resolve({ roots: [], overrides: new Map() }),
};
