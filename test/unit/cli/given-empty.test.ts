import { expect, test } from 'vitest';
import { CliProcess } from '../../support/cli-host.ts';

// Each is refused before a node is looked for: nobody is at that socket.
test.each([
  [['mesh', 'invite', '--for', ''], '--for'],
  [['invoke', 'deploy', 'v7', '--key', ''], '--key'],
  [['agents', '--owner', ''], '--owner'],
  [['flights', '--agent', ''], '--agent'],
  [['up', '--gossip-listen', ''], '--gossip-listen'],
  [['up', '--join', ''], '--join'],
])('an option that is given empty is refused, and not taken for left out: %j', async (args, named) => {
  const ran = new CliProcess({ socketPath: '/nowhere' });
  expect(await ran.run(...args, '--json')).toBe(2);
  expect(ran.json).toMatchObject({ error: { code: 'invalid', message: expect.stringContaining(named) } });
});
