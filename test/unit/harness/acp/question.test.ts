import { describe, expect, test } from 'vitest';
import type { Answer } from '../../../../src/domain/request.ts';
import { elicit, valueOf } from '../../../../src/harness/acp/question.ts';

const [yes, no]: Answer[] = [{ kind: 'approved', by: 'ada' }, { kind: 'denied', by: 'ada' }];

describe('a question', () => {
  test.each([
    ['yes', { type: 'boolean' }, true],
    ['No', { type: 'boolean' }, false],
    ['perhaps', { type: 'boolean' }, undefined],
    ['3', { type: 'integer' }, 3],
    ['3.5', { type: 'integer' }, undefined],
    [' 3.5 ', { type: 'number' }, 3.5],
    ['', { type: 'number' }, undefined],
    ['free text ', { type: 'string' }, 'free text '],
    ['RED', { type: 'string', enum: ['red', 'green'] }, 'red'],
    ['2', { type: 'string', enum: ['red', 'green'] }, 'green'],
    ['Blue', { type: 'string', oneOf: [{ const: 'b', title: 'Blue' }] }, 'b'],
    ['mauve', { type: 'string', enum: ['red'] }, undefined],
    ['red, 2', { type: 'array', items: { enum: ['red', 'green'] } }, ['red', 'green']],
    ['red, blue', { type: 'array', items: { enum: ['red', 'green'] } }, undefined],
  ])('is answered by %j as %j', (text, field, value) => {
    expect(valueOf(text, field)).toEqual(value);
  });

  const form = (properties: Record<string, { type: string }>) => ({ mode: 'form', message: 'm', requestedSchema: { properties } });
  const always = (answer: Answer) => () => Promise.resolve(answer);

  test('without fields is a yes or a no', async () => {
    expect(await elicit(form({}), always(yes!))).toEqual({ action: 'accept', content: {} });
    expect(await elicit(form({}), always(no!))).toEqual({ action: 'decline' });
    expect(await elicit(form({}), always({ kind: 'ended' }))).toEqual({ action: 'cancel' });
  });

  test('may be left open where it need not be answered', async () => {
    expect(await elicit(form({ a: { type: 'string' } }), always({ kind: 'text', text: ' ', by: 'ada' }))).toEqual({ action: 'accept', content: {} });
  });

  test('is given up after three answers that do not fit, and when the run ends', async () => {
    let asked = 0;
    const wrong = (): Promise<Answer> => ((asked += 1), Promise.resolve({ kind: 'text', text: 'x', by: 'ada' }));
    expect(await elicit(form({ a: { type: 'integer' } }), wrong)).toEqual({ action: 'decline' });
    expect(asked).toBe(3);
    expect(await elicit(form({ a: { type: 'integer' } }), always({ kind: 'ended' }))).toEqual({ action: 'cancel' });
  });

  test('of another kind than a form, or a form without end, is declined unasked', async () => {
    const nobody = () => Promise.reject(new Error('asked'));
    expect(await elicit({ mode: 'url', message: 'm' }, nobody)).toEqual({ action: 'decline' });
    expect(await elicit(form(Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`f${index}`, { type: 'string' }]))), nobody)).toEqual({ action: 'decline' });
  });
});
