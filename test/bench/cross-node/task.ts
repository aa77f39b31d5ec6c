/** What every call asks. As much as the requests of the floors carry. */
import { messageBytes } from '../floors/raw-calls.ts';

export const task = 'x'.repeat(messageBytes);

/** More than are ever in flight. */
export const echoConcurrency = 64;
