/** A process that accepts invocations, many at once, and says the id of each that the store acknowledged, until it is killed. */
import { openStore } from '../../src/store/open.ts';
import { nodeIdFor, silentLog, Story } from './temp-store.ts';

const [path = '', startMs = ''] = process.argv.slice(2);
const me = nodeIdFor(1);
const store = await openStore({ path, nodeId: me, log: silentLog });
const story = new Story(Number(startMs));

async function lane(): Promise<never> {
  for (;;) {
    const { flight } = await store.write.accept(story.accept(story.invocation({ origin: me, owner: me }), { kind: 'local', queueLimit: 1e9 }));
    process.stdout.write(`${flight.id}\n`);
  }
}

await Promise.all(Array.from({ length: 32 }, lane));
