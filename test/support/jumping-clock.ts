/**
 * Loaded before a node (`node --import`): SIGUSR2 makes its wall clock jump, by as many ms as the file says whose name
 * is in JUMP_FILE. By JUMP_MS it is off from the start. What the kernel counts (timers, the monotonic clock) goes on as it does when somebody sets the time.
 */
import { readFileSync } from 'node:fs';

const { now } = Date;
let jumpMs = Number(process.env['JUMP_MS'] ?? 0);
Date.now = () => now() + jumpMs;
process.on('SIGUSR2', () => {
  jumpMs = Number(readFileSync(process.env['JUMP_FILE'] ?? '', 'utf8'));
});
