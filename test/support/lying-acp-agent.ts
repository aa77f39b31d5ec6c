/** An agent of the Agent Client Protocol that lies: what it does to its client in a turn is its task. Raw lines, so that nothing stands in its way. */
import { createInterface } from 'node:readline';

const session = 'sess-1';
const say = (message: object): boolean => process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
const text = (words: string, sessionId = session): boolean => say({ method: 'session/update', params: { sessionId, update: { sessionUpdate: 'agent_message_chunk', content: { type: 'text', text: words } } } });
const options = [{ optionId: 'yes', name: 'Yes\u001b]52;c;eA==\u0007', kind: 'allow_once' }, { optionId: 'no', name: 'No\u202e', kind: 'reject_once' }];

/** It would be kept for its session. */
const leave = (): void => void setTimeout(() => process.exit(0), 200);

/** Requests of ours without an answer, and what was answered. */
const answers: string[] = [];
let asked = 0;
let onAnswer: () => void = () => undefined;

function ask(method: string, params: object): void {
  asked += 1;
  say({ id: `mine-${asked}`, method, params: { sessionId: session, ...params } });
}

const turns: Readonly<Record<string, (id: unknown) => void>> = {
  ids(id) {
    for (const wrong of [null, -1, 'nobody', 1e300, { id: 1 }, [id]]) say({ id: wrong, result: { stopReason: 'end_turn' } });
    say({ id: 'nobody', error: { code: 'x', message: 1 } });
    text('of another session', 'sess-2');
    say({ method: 'session/update', params: null });
    say({ method: 'session/update', params: { sessionId: session, update: { sessionUpdate: 'no such thing', content: [] } } });
    say({ method: '__proto__', params: {} });
    process.stdout.write('{"jsonrpc":"2.0","id":\n\u0000\u0001not json\n[]\n"x"\n{}\n');
    text('mine');
    say({ id, result: { stopReason: 'end_turn' } });
    say({ id, result: { stopReason: 'refusal' } });
    text('after the end');
    leave();
  },
  files(id) {
    const places = [['fs/read_text_file', { path: '/etc/shadow' }], ['fs/read_text_file', { path: '../../../../etc/passwd' }], ['fs/write_text_file', { path: '/tmp/beckon-lie', content: 'x' }], ['terminal/create', { command: 'touch', args: ['/tmp/beckon-lie'] }], ['session/new', {}], ['initialize', {}], ['no/such/method', {}]] as const;
    onAnswer = () => {
      if (answers.length < places.length) return;
      text(answers.join(' '));
      say({ id, result: { stopReason: 'end_turn' } });
      leave();
    };
    for (const [method, params] of places) ask(method, params);
  },
  permissions(id) {
    onAnswer = () => {
      if (answers.length < 2000) return;
      text(String(answers.length));
      say({ id, result: { stopReason: 'end_turn' } });
    };
    for (let count = 0; count < 2000; count += 1) ask('session/request_permission', { toolCall: { toolCallId: `call-${count}`, title: `\u001b]0;${'t'.repeat(20_000)}\u0007 ${count}`, kind: 'execute', rawInput: { command: 'rm -rf /' } }, options });
  },
  heavy() {
    process.stdout.write(`{"jsonrpc":"2.0","method":"session/update","params":${'['.repeat(7_000_000)}${']'.repeat(7_000_000)}}\n`);
  },
  long() {
    const piece = 'x'.repeat(1024 * 1024);
    process.stdout.write('{"jsonrpc":"2.0","method":"session/update","params":"');
    for (let count = 0; count < 64; count += 1) process.stdout.write(piece);
    process.stdout.write('"}\n');
  },
  noise() {
    const more = (): void => void process.stdout.write('this is no agent of any protocol\n'.repeat(1000), more);
    more();
  },
  title() {
    ask('session/request_permission', { toolCall: { toolCallId: 'call', title: `${process.env['HOSTILE'] ?? ''} go on?`, kind: 'execute', rawInput: { command: `${process.env['HOSTILE'] ?? ''} ls` } }, options });
  },
};

createInterface({ input: process.stdin }).on('line', (line) => {
  const { id, method, params, result, error } = JSON.parse(line) as { id?: unknown; method?: string; params?: { prompt?: readonly { text?: string }[] }; result?: { outcome?: { outcome: string } }; error?: { code: number } };
  if (method === undefined) {
    answers.push(error === undefined ? (result?.outcome?.outcome ?? 'done') : String(error.code));
    onAnswer();
  } else if (method === 'initialize') say({ id, result: { protocolVersion: 1, agentCapabilities: {}, authMethods: [] } });
  else if (method === 'session/new') say({ id, result: { sessionId: session } });
  else if (method === 'session/prompt') turns[params?.prompt?.[0]?.text ?? '']?.(id);
  else if (id !== undefined) say({ id, error: { code: -32_601, message: 'no such method' } });
});
