import { expect, test } from 'vitest';
import { mayControl, mayInspect, mayInvoke } from '../../../src/broker/policy.ts';

const agent = { owner: 'ada', target: '@fabric@desktop#main' };

test('only nodes of the same owner may invoke', () => {
  expect(mayInvoke({ owner: 'ada', name: 'laptop' }, agent)).toBeUndefined();
  for (const owner of ['bob', 'Ada', 'ada ', '', 'tag:ada']) {
    const refusal = mayInvoke({ owner, name: 'laptop' }, agent);
    expect(refusal?.code).toBe('denied');
    expect(refusal?.message).toContain('@fabric@desktop#main');
  }
});

test('only nodes of the same owner may inspect, and answer', () => {
  expect(mayInspect({ owner: 'ada', name: 'laptop' }, 'ada')).toBeUndefined();
  expect(mayInspect({ owner: 'bob', name: 'bobs' }, 'ada')?.code).toBe('denied');
  expect(mayControl({ owner: 'ada', name: 'laptop' }, 'ada')).toBeUndefined();
  expect(mayControl({ owner: 'bob', name: 'bobs' }, 'ada')?.code).toBe('denied');
});
