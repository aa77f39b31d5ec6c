/** Plays the story from a step on, on a store that holds what comes before it, and dies at `label`. */
import { openStore } from '../../src/store/open.ts';
import { storeStory, storyNode } from './store-story.ts';
import { silentLog } from './temp-store.ts';

const [path = '', crashAt = '', from = '0'] = process.argv.slice(2);
const store = await openStore({ path, nodeId: storyNode, log: silentLog, crashAt });
for (const { name, input } of storeStory().slice(Number(from))) await (store.write[name] as (input: unknown) => Promise<unknown>)(input);
await store.close();
