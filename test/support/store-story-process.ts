/** Plays the story on a store from one of its steps on. It dies at `label`, if that is given and reached. */
import { openStore } from '../../src/store/open.ts';
import { storeStory, storyNode } from './store-story.ts';
import { silentLog } from './temp-store.ts';

const [path = '', from = '0', label = ''] = process.argv.slice(2);
const store = await openStore({ path, nodeId: storyNode, log: silentLog, ...(label === '' ? {} : { crashAt: label }) });
for (const { name, input } of storeStory().slice(Number(from))) await (store.write[name] as (input: unknown) => Promise<unknown>)(input);
await store.close();
