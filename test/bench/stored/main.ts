/** `node test/bench/stored/main.ts DATABASE --name NODE [--invocations N]`: fills the store of a node that is down, to try things on by hand. */
import { parseArgs } from 'node:util';
import { storeHistory } from './history.ts';

const usage = 'usage: node test/bench/stored/main.ts DATABASE --name NODE [--invocations N]\n\nThe node of that name has booted with the database, and is down.';
try {
  const { values, positionals } = parseArgs({ allowPositionals: true, options: { name: { type: 'string' }, invocations: { type: 'string', default: '1000000' } } });
  const [path] = positionals;
  const invocations = Number(values.invocations);
  if (path === undefined || positionals.length > 1 || values.name === undefined || !Number.isSafeInteger(invocations) || invocations < 1) throw new TypeError(usage);
  const startMs = performance.now();
  const tell = (text: string): void => console.error(`${((performance.now() - startMs) / 1000).toFixed(1).padStart(7)} s  ${text}`);
  console.log(JSON.stringify(storeHistory({ path, nodeName: values.name, invocations, nowMs: Date.now(), tell })));
} catch (error) {
  console.error(error instanceof TypeError ? error.message : error);
  process.exitCode = 1;
}
