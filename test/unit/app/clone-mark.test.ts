import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { CloneMarkKeeper, cloneCheck, readCloneMark } from '../../../src/app/clone-mark.ts';
import { silentLog } from '../../../src/app/open-log.ts';

const [desktop, server] = [{ nodeId: 'k51desktop', name: 'desktop' }, { nodeId: 'k51server', name: 'server' }];

let directory: string;
let path: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'beckon-mark-'));
  path = join(directory, 'clone.json');
});
afterEach(() => rmSync(directory, { recursive: true }));

const open = (nodeId = 'k51me'): Promise<CloneMarkKeeper> => CloneMarkKeeper.open(path, nodeId, silentLog);

test('what a peer said is kept over a restart, until that peer accepts this node', async () => {
  const first = await open();
  expect(first.standing).toEqual({});
  expect(first.refused(desktop, 'two machines', 1)).toBe(true);
  expect(first.refused(desktop, 'two machines', 2)).toBe(false);
  expect(first.refused(server, 'two machines', 3)).toBe(true);
  await first.settled();
  const again = await open();
  expect(again.standing).toEqual({ refused: 'refused by desktop, server: two machines' });
  again.accepted(server);
  again.accepted({ nodeId: 'k51third' });
  await again.settled();
  const mark = await readCloneMark(path);
  expect(mark === undefined ? undefined : cloneCheck(mark)).toMatchObject({ id: 'clone', ok: false, detail: 'refused by desktop: two machines' });
  again.accepted(desktop);
  await again.settled();
  expect(existsSync(path)).toBe(false);
  expect(again.standing).toEqual({});
});

test('what was said of a key that this node had is not said of its new one', async () => {
  const first = await open();
  first.refused(desktop, 'two machines', 1);
  await first.settled();
  expect((await open('k51new')).standing).toEqual({});
});

test.each(['', '{', '{"nodeId":"k51me","refusals":[]}', '{"nodeId":1}'])('a file that holds %j is refused by name', async (content) => {
  writeFileSync(path, content);
  await expect(readCloneMark(path)).rejects.toMatchObject({ code: 'invalid', message: expect.stringContaining(path) });
});
