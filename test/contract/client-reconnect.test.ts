import { expect, test } from 'vitest';
import { createSystemClock } from '../../src/app/system-clock.ts';
import { connect } from '../../src/client/connect.ts';
import { FakeNode } from '../support/fake-node.ts';
import { waitFor } from '../support/wait-for.ts';

const clock = createSystemClock();
const now = (): number => clock.now();

test('whoever connects to a node that is back is answered, however often others of the same process found it gone', async () => {
  const node = await new FakeNode().start();
  const { socketPath } = node;
  const old = await connect({ socketPath, now });
  try {
    await old.status();
    await node.server.stop();
    for (let tries = 0; tries < 5; tries += 1) await expect(old.status()).rejects.toMatchObject({ code: 'unavailable' });

    await node.server.start();
    const fresh = await connect({ socketPath, now });
    await fresh.status();
    fresh.close();
    // One that was there before tries again by itself, and soon.
    await waitFor('the old client to be answered', () => old.status(), { timeoutMs: 3000, pollMs: 50 });
  } finally {
    old.close();
    await node.stop();
  }
});
