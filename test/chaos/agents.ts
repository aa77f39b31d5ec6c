/** The agents of a campaign: they leave a trace in the world each time they run, and print what can be foretold. */
import { createHash } from 'node:crypto';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';

export const agentKinds = ['quick', 'slow', 'fail', 'big'] as const;
export type AgentKind = (typeof agentKinds)[number];

export const bigBytes = 1024 * 1024;

/** Called with: kind, node, file of traces. The task is `NAP KEY`. */
const program = `#!/bin/sh
read -r nap key
printf '%s %s %s start\\n' "$BECKON_INVOCATION_ID" "$BECKON_RUN" "$2" >>"$3"
echo "1 $BECKON_INVOCATION_ID $key"
case $1 in
  slow) for line in 2 3 4; do sleep "$nap"; echo "$line $BECKON_INVOCATION_ID"; done ;;
  fail) echo 'no such luck' >&2; exit 7 ;;
  big) yes "$BECKON_INVOCATION_ID" | head -c ${bigBytes} ;;
esac
echo "last $BECKON_INVOCATION_ID"
printf '%s %s %s end\\n' "$BECKON_INVOCATION_ID" "$BECKON_RUN" "$2" >>"$3"
`;

export function writeAgent(path: string): void {
  writeFileSync(path, program);
  chmodSync(path, 0o755);
}

/** What a run that completed has printed. */
export function expectedOutput(kind: AgentKind, invocationId: string, key: string): { readonly bytes: number; readonly sha256: string } {
  const hash = createHash('sha256');
  let bytes = 0;
  const add = (text: string): void => {
    hash.update(text);
    bytes += text.length;
  };
  add(`1 ${invocationId} ${key}\n`);
  if (kind === 'slow') for (const line of [2, 3, 4]) add(`${line} ${invocationId}\n`);
  if (kind === 'big') add(`${invocationId}\n`.repeat(Math.ceil(bigBytes / (invocationId.length + 1))).slice(0, bigBytes));
  add(`last ${invocationId}\n`);
  return { bytes, sha256: hash.digest('hex') };
}

/** One line that an agent left behind. */
export interface Trace {
  readonly invocationId: string;
  readonly run: number;
  readonly node: string;
  readonly what: 'start' | 'end';
}

export function readTraces(path: string): Trace[] {
  const lines = readFileSync(path, 'utf8').split('\n').slice(0, -1);
  return lines.map((line) => {
    const [invocationId = '', run = '', node = '', what = ''] = line.split(' ');
    if (what !== 'start' && what !== 'end') throw new Error(`this is no trace of an agent: ${line}`);
    return { invocationId, run: Number(run), node, what };
  });
}
