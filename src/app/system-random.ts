/** Randomness for spreading load; never for secrets. */
import type { Random } from '../domain/ports.ts';

export const systemRandom: Random = Math.random;
