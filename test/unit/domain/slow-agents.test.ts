import { expect, test } from 'vitest';
import { slowAgents } from '../../../src/domain/slow-agents.ts';

const address = '@fabric@laptop#main';
const [second, minute] = [1000, 60_000];

test.each([
  ['nothing to do', { queued: 0, running: 0 }, undefined],
  ['a short queue', { queued: 9, running: 4, oldestQueuedMs: 59 * second }, undefined],
  ['a queue that does not move', { queued: 9, running: 4, oldestQueuedMs: minute }, '9 wait, the oldest for 1m'],
  ['a run that takes what runs take', { queued: 0, running: 1, longestRunMs: 29 * minute, usualRunMs: 20 * minute }, undefined],
  ['a run of three times the usual, but short', { queued: 0, running: 1, longestRunMs: 9 * minute, usualRunMs: minute }, undefined],
  ['a run far beyond the usual', { queued: 0, running: 1, longestRunMs: 60 * minute, usualRunMs: 20 * minute }, 'one runs for 1h, where the usual is 20m'],
  ['a first run', { queued: 0, running: 1, longestRunMs: 59 * minute }, undefined],
  ['a first run of an hour', { queued: 0, running: 1, longestRunMs: 60 * minute }, 'one runs for 1h, and none has completed yet'],
])('%s', (_name, pace, why) => {
  expect(slowAgents([{ address, ...pace }])).toEqual(why === undefined ? [] : [{ address, ...pace, why }]);
});

test('the one that waits or runs longest comes first', () => {
  const paces = [
    { address: 'a', queued: 1, running: 0, oldestQueuedMs: 2 * minute },
    { address: 'b', queued: 1, running: 0, oldestQueuedMs: 5 * minute },
    { address: 'c', queued: 0, running: 1, longestRunMs: 90 * minute },
  ];
  expect(slowAgents(paces).map((each) => each.address)).toEqual(['c', 'b', 'a']);
});
