import { describe, expect, test } from 'vitest';
import { findInvoker } from '../../../src/app/invoker.ts';
import type { InvokerParts, ProcessFacts } from '../../../src/app/invoker.ts';

const shell = { HOME: '/home/ada', PATH: '/home/ada/bin:/usr/bin' };
const processes: Record<number, ProcessFacts> = {
  30: { name: 'sudo', parent: 20, env: { HOME: 'of the monitor' } },
  20: { name: 'sudo', parent: 10, env: shell },
  10: { name: 'bash', parent: 1, env: { HOME: 'of the login' } },
};
const parts = (over: Partial<InvokerParts>): InvokerParts => ({
  env: { HOME: '/root', PATH: '/usr/sbin' },
  uid: 0,
  ppid: 1,
  own: { name: 'root', home: '/root' },
  run: (_program, args) => Promise.resolve(args.at(-1) === 'ada' ? { code: 0, stdout: 'ada:x:1000:1000::/home/ada:/bin/bash\n', stderr: '' } : { code: 2, stdout: '', stderr: '' }),
  processAt: (pid) => Promise.resolve(processes[pid]),
  ...over,
});

describe('whom a command works for', () => {
  test('without root: whoever gives it', async () => {
    const env = { HOME: '/home/bob', SUDO_USER: 'ada' };
    expect(await findInvoker(parts({ uid: 1001, own: { name: 'bob', home: '/home/bob' }, env }), undefined)).toEqual({ name: 'bob', uid: 1001, home: '/home/bob', env });
  });

  test('under sudo: who called it, with the environment of their shell and not that of root', async () => {
    const found = await findInvoker(parts({ env: { SUDO_USER: 'ada', PATH: '/usr/sbin', HOME: '/root' }, ppid: 30 }), undefined);
    expect(found).toEqual({ name: 'ada', uid: 1000, home: '/home/ada', env: shell });
  });

  test('for a user of whom nothing is known: the usual PATH, and a word about it', async () => {
    const found = await findInvoker(parts({}), 'ada');
    expect(found).toMatchObject({ name: 'ada', env: { HOME: '/home/ada', PATH: '/usr/local/bin:/usr/bin:/bin' }, note: expect.stringContaining('not known') });
  });

  test.each([
    ['root that was not asked for', {}, undefined, /every agent would be root/],
    ['root by sudo of root', { env: { SUDO_USER: 'root' } }, undefined, /every agent would be root/],
    ['a user that is not there', {}, 'eve', /no user eve/],
    ['another user, without root', { uid: 1001, own: { name: 'bob', home: '/home/bob' } }, 'ada', /only root/],
  ] as const)('%s is refused', async (_what, over, wished, why) => {
    await expect(findInvoker(parts(over), wished)).rejects.toThrow(why);
  });

  test('root, when root is what was asked for', async () => {
    expect(await findInvoker(parts({}), 'root')).toMatchObject({ name: 'root', uid: 0 });
  });
});
