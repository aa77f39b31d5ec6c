/**
 * A process that does nothing but look at the clock: as late as it is, any process of this machine may be through no
 * fault of its own. It prints one line of JSON a second, its latest turn.
 */
import { watchTurns } from './turns.ts';

const take = watchTurns();
setInterval(() => console.log(JSON.stringify({ atMs: Date.now(), ...take().latest })), 1000);
// Whoever started it is gone.
process.stdin.on('end', () => process.exit(0)).resume();
