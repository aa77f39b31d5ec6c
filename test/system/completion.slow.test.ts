/** The completion scripts in the shells they are for: what is typed, the key for completion, and the line that comes of it. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { AgentSpec } from '../../src/client/types.ts';
import { FakeNode } from '../support/fake-node.ts';
import { because, missing } from '../support/programs.ts';
import { Shell, shellNames } from '../support/shell.ts';
import { noTerminal } from '../support/terminal.ts';

const node = new FakeNode();
beforeAll(async () => {
  await node.start();
  for (const name of ['fabric', 'fabulous', 'review']) {
    await node.broker.addAgent({ name, labels: { team: `${name}-team` }, capabilities: [], argv: ['cat'] } as unknown as AgentSpec);
  }
  mkdirSync(join(node.directory, 'here', 'sub'), { recursive: true });
  writeFileSync(join(node.directory, 'here', 'notes.txt'), '');
});
afterAll(() => node.stop());

describe.each(shellNames)('%s', (name) => {
  const cannot = noTerminal ?? missing(name);

  test.skipIf(cannot !== undefined)(`completes what is begun${because(cannot)}`, async () => {
    const shell = new Shell(name, { home: node.directory, cwd: join(node.directory, 'here') });
    try {
      for (const [typed, completed] of [
        ['beckon resol', 'beckon resolve'],
        ['beckon mesh mem', 'beckon mesh members'],
        ['beckon agents --wat', 'beckon agents --watch'],
        ['beckon flights --state=runn', 'beckon flights --state=running'],
        ['beckon agent add --harness cl', 'beckon agent add --harness claude'],
        ['beckon invoke fabr', 'beckon invoke fabric@laptop/main'],
        ['beckon invoke fabric@lap', 'beckon invoke fabric@laptop/main'],
        ['beckon invoke @fabr', 'beckon invoke @fabric@laptop#main'],
        ['beckon invoke @fabric@laptop#m', 'beckon invoke @fabric@laptop#main'],
        ["beckon invoke '@fabric@lap", 'beckon invoke @fabric@laptop#main'],
        ['beckon ping des', 'beckon ping desktop'],
        ['beckon agents --label team=rev', 'beckon agents --label team=review-team'],
        ['beckon invoke x -f not', 'beckon invoke x -f notes.txt'],
      ] as const) expect(await shell.complete(typed)).toBe(completed);
      // Of two that begin alike, what they have in common; fish shows both and takes none, or the first.
      if (name !== 'fish') expect(await shell.complete('beckon invoke fab')).toBe('beckon invoke fab');
    } finally {
      await shell.end();
    }
  }, 60_000);
});
