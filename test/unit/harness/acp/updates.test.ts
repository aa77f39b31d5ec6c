import { describe, expect, test } from 'vitest';
import { update, type Update } from '../../../../src/harness/acp/answers.ts';
import { changeOf } from '../../../../src/harness/acp/patch.ts';
import { TurnReport, usageOf } from '../../../../src/harness/acp/updates.ts';

const read = (value: unknown): Update => update.parse(value);
const message = (text: string, messageId?: string): Update => read({ sessionUpdate: 'agent_message_chunk', content: { type: 'text', text }, ...(messageId === undefined ? {} : { messageId }) });
const tool = (of: Record<string, unknown>): Update => read({ sessionUpdate: 'tool_call', toolCallId: 'a', title: 'Look', ...of });
const toolUpdate = (of: Record<string, unknown>): Update => read({ sessionUpdate: 'tool_call_update', toolCallId: 'a', ...of });

const answer = (...updates: Update[]): string => {
  const report = new TurnReport('/project');
  return updates
    .flatMap((each) => report.take(each))
    .flatMap((said) => (said.kind === 'text' ? [said.text] : []))
    .join('');
};

describe('the answer', () => {
  test('is the text of its messages, as it came', () => {
    expect(answer(message('a'), message('b\n'), message('c'))).toBe('ab\nc');
  });

  test('has a blank line between two messages, whether ids tell them apart or the use of a tool', () => {
    expect(answer(message('one', '1'), message('!', '1'), message('two', '2'))).toBe('one!\n\ntwo');
    expect(answer(message('one'), tool({}), message('two'))).toBe('one\n\ntwo');
    expect(answer(message('one', '1'), tool({}), message(' and more', '1'))).toBe('one and more');
  });

  test('has none where there is one, at the beginning, or because of a report on a tool', () => {
    expect(answer(tool({}), message('one\n'), tool({ toolCallId: 'b' }), message('two'))).toBe('one\ntwo');
    expect(answer(message('on'), toolUpdate({ status: 'completed' }), message('e'))).toBe('one');
  });

  test('names what it links to, and leaves out what is no text', () => {
    expect(answer(read({ sessionUpdate: 'agent_message_chunk', content: { type: 'resource_link', uri: 'file:///a', name: 'a' } }))).toBe('[a](file:///a)');
    expect(update.safeParse({ sessionUpdate: 'agent_message_chunk', content: { type: 'image', data: '', mimeType: 'image/png' } }).success).toBe(false);
  });
});

describe('a tool', () => {
  const said = (...updates: Update[]) => {
    const report = new TurnReport('/project');
    return updates.flatMap((each) => report.take(each));
  };

  test('is called by its own name, else by its kind; its state is one of four', () => {
    expect(said(tool({ kind: 'execute', name: 'Bash', status: 'in_progress' }))).toEqual([{ kind: 'tool', call: 'a', title: 'Look', tool: 'Bash', state: 'running' }]);
    expect(said(tool({ kind: 'read' }), toolUpdate({ status: 'failed' }))).toEqual([
      { kind: 'tool', call: 'a', title: 'Look', tool: 'read', state: 'pending' },
      { kind: 'tool', call: 'a', title: 'Look', tool: 'read', state: 'failed' },
    ]);
    expect(said(tool({ status: 'some later word' }))[0]).toMatchObject({ state: 'running' });
  });

  test('is not told of again when nothing of it has changed', () => {
    expect(said(tool({}), toolUpdate({ rawInput: { x: 1 } }), toolUpdate({ title: 'Look' }))).toHaveLength(1);
  });

  test('that changes a file is followed by the change, once', () => {
    const content = [{ type: 'diff', path: '/project/src/a.ts', oldText: 'one\n', newText: 'two\n' }];
    expect(said(tool({ content }), toolUpdate({ content }), toolUpdate({ content: [{ ...content[0], newText: 'three\n' }] })).filter((each) => each.kind === 'diff')).toEqual([
      { kind: 'diff', path: 'src/a.ts', patch: '--- src/a.ts\n+++ src/a.ts\n@@ -1,1 +1,1 @@\n-one\n+two\n' },
      { kind: 'diff', path: 'src/a.ts', patch: '--- src/a.ts\n+++ src/a.ts\n@@ -1,1 +1,1 @@\n-one\n+three\n' },
    ]);
  });

  test('is known when a permission is asked for it, with what was said of it before', () => {
    const report = new TurnReport('/project');
    report.take(tool({ kind: 'execute', rawInput: { command: ['npm', 'test'] }, locations: [{ path: '/project/a' }, 'no location'] }));
    expect(report.call({ toolCallId: 'a' })).toEqual({ known: { call: 'a', title: 'Look', tool: 'execute', work: 'execute', state: 'pending', paths: ['/project/a'], changes: [], command: 'npm test' }, said: [] });
  });

  test('is remembered within bounds, and what is beyond them is never taken for a place inside', () => {
    const report = new TurnReport('/project');
    const long = 'x'.repeat(1_000_000);
    report.take(tool({ title: long, name: long, rawInput: { command: long }, locations: Array.from({ length: 1000 }, () => ({ path: '/project/a' })) }));
    const { known } = report.call({ toolCallId: 'a' });
    expect(JSON.stringify(known).length).toBeLessThan(10_000);
    expect(known.paths.at(-1)).toBe('/');
    report.take(toolUpdate({ locations: [{ path: `/project/${long}` }] }));
    expect(report.call({ toolCallId: 'a' }).known.paths).toEqual(['/']);
    expect(update.safeParse({ sessionUpdate: 'tool_call', toolCallId: long, title: '' }).success).toBe(false);
  });

  test('one of very many is forgotten, the oldest first', () => {
    const report = new TurnReport('/project');
    for (let number = 0; number < 300; number += 1) report.take(tool({ toolCallId: `${number}` }));
    expect(report.call({ toolCallId: '299' }).known.title).toBe('Look');
    expect(report.call({ toolCallId: '0' }).known.title).toBe('');
  });
});

describe('what is not as it should be', () => {
  test('is left out, and the rest is heard', () => {
    expect(read({ sessionUpdate: 'tool_call', toolCallId: 'a', title: 7, status: null, content: 'none', locations: [{ path: 1 }] })).toMatchObject({ title: undefined, status: undefined, content: undefined, locations: [] });
    expect(read({ sessionUpdate: 'plan', entries: [{ content: 'a', status: 'completed' }, 'b', { content: 'c', status: 3 }] })).toMatchObject({ entries: [{ content: 'a', status: 'completed' }, { content: 'c', status: undefined }] });
    expect(read({ sessionUpdate: 'usage_update', used: -1, size: 'all', cost: { amount: 1, currency: 'x'.repeat(100) } })).toMatchObject({ used: undefined, size: undefined, cost: undefined });
  });

  test('says nothing when nothing of it is left', () => {
    expect(usageOf({ stopReason: 'end_turn', usage: undefined })).toBeUndefined();
    expect(usageOf({ stopReason: 'end_turn', usage: { inputTokens: 3, outputTokens: undefined } })).toEqual({ kind: 'usage', inputTokens: 3 });
  });
});

describe('a change', () => {
  test('of a file that was not there comes from /dev/null', () => {
    expect(changeOf('/project', '/project/new', undefined, 'a\nb\n')).toEqual({ path: 'new', patch: '--- /dev/null\n+++ new\n@@ -0,0 +1,2 @@\n+a\n+b\n', added: 2, removed: 0 });
  });

  test('outside of the agent’s directory has its whole path', () => {
    expect(changeOf('/project', '/projects/x', '', 'a').path).toBe('/projects/x');
    expect(changeOf('/project', '/project', '', 'a').path).toBe('/project');
    expect(changeOf('/project', 'src/x', '', 'a').path).toBe('src/x');
  });

  test('too large to be compared is said to be so, in no time', () => {
    const [before, after] = [Array.from({ length: 100_000 }, (_, line) => `${line}`).join('\n'), 'x\n'.repeat(100_000)];
    expect(changeOf('/project', 'a', before, after)).toEqual({ path: 'a', patch: '--- a\n+++ a\n(too large to be compared)\n', added: 100_000, removed: 100_000 });
    const [many, others] = [0, 1].map((offset) => Array.from({ length: 8000 }, (_, line) => `${line * 2 + offset}`).join('\n'));
    expect(changeOf('/project', 'a', many, others ?? '').patch).toContain('too large');
  });
});
