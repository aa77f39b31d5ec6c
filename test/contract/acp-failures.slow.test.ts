import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import type { Endpoint } from '../../src/domain/invocation.ts';
import { anyAgent, presets } from '../../src/harness/acp/presets.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { acpAgent, acpAgentFile, acpHarness } from '../support/acp-endpoint.ts';
import { isRunning } from '../support/processes.ts';
import { waitFor } from '../support/wait-for.ts';
import { Collected, requestOf, type RequestOptions } from './harness.ts';

const root = await realpath(await mkdtemp(join(tmpdir(), 'beckon-acp-')));
const environment = { TMPDIR: join(root, 'tmp'), HOME: root };
await mkdir(environment.TMPDIR);
const harness = acpHarness({ environment });
afterAll(async () => {
  await harness.close();
  await rm(root, { recursive: true, force: true });
});

async function outcome(endpoint: Endpoint, options: RequestOptions = {}) {
  const sink = new Collected();
  const end = await harness.start(requestOf(endpoint, options), sink).ended;
  expect(sink.marks.filter((mark) => isRunning(mark.pid) && end.isKept !== true)).toEqual([]);
  return { end, stdout: sink.text(), stderr: sink.text('stderr') };
}

const shell = (script: string): Endpoint => ({ ...acpAgent(root), argv: ['sh', '-c', script] });

describe('what is known of an agent before anything is accepted', () => {
  const preset = presets.find(({ name }) => name === 'claude') ?? anyAgent;
  const bin = join(root, 'bin');
  const endpoint: Endpoint = { ...acpAgent(root), harness: 'claude', argv: [], path: bin };
  const check = (of: Partial<Endpoint> = {}) => acpHarness({ environment, preset }).check({ ...endpoint, ...of });

  test('not installed, not logged in, no directory: each with what to do, and nothing is started to learn it', async () => {
    expect(await check()).toEqual({ available: false, why: expect.stringMatching(/Claude Code is not installed: no claude-agent-acp.*npm install -g/) });
    await mkdir(bin);
    await writeFile(join(bin, 'claude-agent-acp'), `#!/bin/sh\ntouch ${root}/started\n`, { mode: 0o755 });
    expect(await check()).toEqual({ available: false, why: expect.stringMatching(/Claude Code is not logged in: run claude and log in/) });
    expect(await check({ cwd: join(root, 'nowhere') })).toEqual({ available: false, why: expect.stringContaining('nowhere') });
    expect(await check({ env: ['ANTHROPIC_API_KEY=x'] })).toEqual({ available: true });
    await mkdir(join(root, '.claude'));
    await writeFile(join(root, '.claude', '.credentials.json'), '{}');
    expect(await check()).toEqual({ available: true });
    expect(existsSync(join(root, 'started'))).toBe(false);
  });

  test('of a command that is the user’s own, only whether it is there', async () => {
    await rm(join(root, '.claude'), { recursive: true, force: true });
    expect(await check({ argv: [process.execPath, acpAgentFile] })).toEqual({ available: true });
    expect(await check({ argv: ['my-own'] })).toEqual({ available: false, why: expect.stringContaining('my-own') });
  });
});

describe('an agent that does not come up', () => {
  test('because its program went away after it was looked for', async () => {
    const file = join(root, 'gone');
    await writeFile(file, '#!/bin/sh\n');
    await chmod(file, 0o755);
    const endpoint = { ...acpAgent(root), argv: [file] };
    expect(await harness.check(endpoint)).toEqual({ available: true });
    await rm(file);
    expect((await outcome(endpoint)).end).toEqual({ error: expect.objectContaining({ code: 'unavailable', message: expect.stringContaining(file) }) });
  });

  test('because it ends: with how, and its last words', async () => {
    const { end, stderr } = await outcome(shell('echo warming up; echo no configuration >&2; exit 7'));
    expect(end).toEqual({ error: expect.objectContaining({ code: 'unavailable', message: expect.stringMatching(/before it was ready \(exit code 7\); its last words: (no configuration|warming up)/) }) });
    expect(stderr).toContain('no configuration\n');
  });

  test('because it is no agent at all, and prints what it likes: all of it is neither kept nor read', async () => {
    const { end } = await outcome(shell('yes "no protocol of yours"'));
    expect(end).toEqual({ error: expect.objectContaining({ code: 'incompatible', message: expect.stringContaining('not the Agent Client Protocol') }) });
    expect((await outcome(shell('head -c 20000000 /dev/zero; sleep 1000'))).end).toMatchObject({ error: { code: 'incompatible', message: expect.stringContaining('16 MiB') } });
  });

  test('because it talks to itself', async () => {
    expect((await outcome({ ...acpAgent(root), argv: ['cat'] })).end).toMatchObject({ error: { code: 'unavailable' } });
  });

  test.each(['initialize', 'session/new'])('because it hangs in %s: ended when its time to start is over', async (method) => {
    const clock = new FakeClock();
    const sink = new Collected();
    const run = acpHarness({ environment, clock }).start(requestOf(acpAgent(root, '--hang', method)), sink);
    await waitFor('the process', () => sink.marks.length === 1);
    await clock.advance(59_900);
    expect(isRunning(sink.marks[0]?.pid ?? 0)).toBe(true);
    let isOver = false;
    void run.ended.then(() => {
      isOver = true;
    });
    await waitFor('the run to end', async () => {
      await clock.advance(100);
      return isOver;
    });
    expect(await run.ended).toEqual({ error: expect.objectContaining({ code: 'unavailable', message: 'the agent did not come up within 60 s; it said nothing' }) });
    expect(isRunning(sink.marks[0]?.pid ?? 0)).toBe(false);
  });

  test('because it speaks another version', async () => {
    expect((await outcome(acpAgent(root, '--version', '7'))).end).toEqual({ error: expect.objectContaining({ code: 'incompatible', message: expect.stringContaining('version 7') }) });
  });

  test('because it is not logged in: with its own words, and no browser is opened', async () => {
    const { end } = await outcome(acpAgent(root, '--auth', 'FAKE_KEY', '--browser'));
    expect(end).toEqual({ error: { code: 'unavailable', message: 'the agent is not logged in; it says: Authentication required: say who you are', hint: expect.stringMatching(/\S/) } });
  });

  test('unless it can be signed in with a variable that it has', async () => {
    const endpoint = { ...acpAgent(root, '--auth', 'FAKE_KEY', '--browser'), env: ['FAKE_KEY=secret'] };
    expect(await outcome(endpoint, { task: 'say in' })).toMatchObject({ end: { exitCode: 0 }, stdout: 'in\n' });
  });

  test('a cold start that is slow is waited for', async () => {
    expect(await outcome(acpAgent(root, '--slow', '300'), { task: 'say here' })).toMatchObject({ end: { exitCode: 0 }, stdout: 'here\n' });
  });
});

describe('an agent that fails in the middle of its turn', () => {
  const agent = acpAgent(root);

  test('by its exit code, with its last words', async () => {
    const { end, stdout, stderr } = await outcome(agent, { task: 'say half\ndie 9' });
    expect(end).toEqual({ exitCode: 9, error: expect.objectContaining({ code: 'unavailable', message: 'the agent ended in the middle of its turn (exit code 9); its last words: I can not go on' }) });
    expect([stdout, stderr]).toEqual(['half\n', 'I can not go on\n']);
  });

  test('by an exit that looks clean', async () => {
    expect((await outcome(agent, { task: 'die 0' })).end).toMatchObject({ exitCode: 1, error: { message: expect.stringContaining('exit code 0') } });
  });

  test('by a signal', async () => {
    expect((await outcome(agent, { task: 'killed' })).end).toMatchObject({ signal: 'SIGKILL', error: { message: expect.stringContaining('SIGKILL') } });
  });

  test('by closing its stdout while it lives on', async () => {
    expect((await outcome(agent, { task: 'close' })).end).toMatchObject({ exitCode: 1, error: { message: expect.stringContaining('it closed its stdout') } });
  });

  test('by an error, in its own words', async () => {
    expect((await outcome(agent, { task: 'stderr beside it\nfail API Error: 529 overloaded' })).end).toMatchObject({ exitCode: 1, error: { code: 'unavailable', message: 'the agent answered with an error: Internal error: API Error: 529 overloaded' } });
    expect((await outcome(agent, { task: 'unauthorised key expired' })).end).toEqual({ error: expect.objectContaining({ message: expect.stringMatching(/not logged in.*key expired/) }) });
  });

  test.each([
    ['max_tokens', 'deadline'],
    ['max_turn_requests', 'deadline'],
    ['refusal', 'denied'],
  ])('by the stop reason %s: its own failure, with that word', async (reason, code) => {
    const { end, stdout } = await outcome(agent, { task: `say so far\nstop ${reason}` });
    expect(end).toEqual({ exitCode: 1, error: { code, message: expect.stringContaining(reason), hint: expect.stringMatching(/\S/) } });
    expect(stdout).toBe('so far\n');
  });

  test('last words are the last: a flood of them takes no memory', async () => {
    const { stderr } = await outcome(shell('head -c 50000000 /dev/zero | tr "\\0" "x" >&2; echo >&2; echo the end >&2; exit 1'));
    expect(stderr).toBe('the end\n');
  });
});

describe('what an agent may not do', () => {
  const agent = acpAgent(root);

  test('a line of more than 16 MiB ends it', async () => {
    const { end } = await outcome(agent, { task: `rawline ${17 * 1024 * 1024}\nidle` });
    expect(end).toMatchObject({ exitCode: 1, error: { code: 'incompatible' } });
  });

  test.each([
    ['no JSON', 'hello there'],
    ['JSON of another kind', '[1,2,{"jsonrpc":"2.0"}]'],
    ['no object', '17'],
    ['an answer to nothing', '{"jsonrpc":"2.0","id":4711,"result":{}}'],
    ['an answer that is half an error', '{"jsonrpc":"2.0","id":4,"error":"no"}'],
    ['a report of nothing', '{"jsonrpc":"2.0","method":"session/update"}'],
    ['a report with wrong types', '{"jsonrpc":"2.0","method":"session/update","params":{"sessionId":7,"update":[]}}'],
    ['a method that nobody knows', '{"jsonrpc":"2.0","method":"_made/up","params":null}'],
    ['a request that nobody knows', '{"jsonrpc":"2.0","id":"a","method":"_made/up","params":{"__proto__":{"x":1}}}'],
    ['a request for a permission with wrong types', '{"jsonrpc":"2.0","id":"b","method":"session/request_permission","params":{"options":"all"}}'],
    ['a null id', '{"jsonrpc":"2.0","id":null,"method":"session/request_permission"}'],
    ['depth', `{"jsonrpc":"2.0","method":"session/update","params":${'['.repeat(50_000)}${']'.repeat(50_000)}}`],
  ])('%s harms nothing', async (_what, line) => {
    expect(await outcome(agent, { task: `raw ${line}\nsay still here` })).toMatchObject({ end: { exitCode: 0 }, stdout: 'still here\n' });
  });

  test('another session’s reports are not heard, and its requests get no yes', async () => {
    expect((await outcome({ ...agent, permissions: 'full' }, { task: 'strangers' })).stdout).toBe('cancelled\n');
  });

  test('files are not read for it: it has its own hands', async () => {
    expect((await outcome(agent, { task: 'read /etc/passwd' })).stdout).toContain('Method not found');
  });

  test('a task that is no text is refused before anything is started', async () => {
    expect((await outcome(agent, { task: Uint8Array.of(0xff, 0xfe) })).end).toEqual({ error: expect.objectContaining({ code: 'invalid' }) });
  });

  test('a thousand requests at once wait in line, and none is lost', async () => {
    const script = `
      const ask = (id) => console.log(JSON.stringify({ jsonrpc: '2.0', id: 'r' + id, method: 'session/request_permission', params: { sessionId: 's', toolCall: { toolCallId: 'c' + id, title: 't' }, options: [{ optionId: 'y', name: 'Yes', kind: 'allow_once' }] } }));
      let yes = 0, prompt;
      require('node:readline').createInterface(process.stdin).on('line', (line) => {
        const { id, method, result } = JSON.parse(line);
        const answer = (result) => console.log(JSON.stringify({ jsonrpc: '2.0', id, result }));
        if (method === 'initialize') answer({ protocolVersion: 1 });
        else if (method === 'session/new') answer({ sessionId: 's' });
        else if (method === 'session/prompt') { prompt = id; for (let n = 0; n < 1000; n++) ask(n); }
        else if (result?.outcome.outcome === 'selected' && ++yes === 1000) console.log(JSON.stringify({ jsonrpc: '2.0', id: prompt, result: { stopReason: 'end_turn' } }));
      });`;
    expect((await outcome({ ...acpAgent(root), argv: [process.execPath, '-e', script], permissions: 'full' })).end).toMatchObject({ exitCode: 0 });
  });
});
