/**
 * What a program that uses the SDK has around it: its environment, its home, time and timers. A library has no main.ts
 * that could hand them in, so this file reads them, and no other of the SDK does.
 */
import { homedir } from 'node:os';
import process from 'node:process';
import { flightTokenVariable } from '../domain/flight-token.ts';
import type { CancelTimer, Clock, Random } from '../domain/ports.ts';
import { traceparentVariable, tracestateVariable } from '../domain/trace-context.ts';
import { socketPathIn, stateDirectory } from './state-directory.ts';

/** Where the command line of this user would find the node. */
export function usualSocketPath(): string {
  const { env, platform } = process;
  return socketPathIn(stateDirectory(env, platform, homedir()), process.getuid?.() ?? 0);
}

/** Set in a process of a flight. */
export function flightTokenAround(): string | undefined {
  const { [flightTokenVariable]: token } = process.env;
  return token === '' ? undefined : token;
}

/** A process of a flight, or of anything else that is traced, has these. */
export function traceAround(): Readonly<Record<string, string>> {
  const { [traceparentVariable]: traceparent = '', [tracestateVariable]: tracestate = '' } = process.env;
  return traceparent === '' ? {} : { [traceparentVariable]: traceparent, [tracestateVariable]: tracestate };
}

/** Timers that keep the process alive: who waits for a node to come back has nothing else that would. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  setTimer: (ms: number, fn: () => void): CancelTimer => {
    const timer = setTimeout(fn, Math.min(Math.max(0, ms), 2 ** 31 - 1));
    return () => clearTimeout(timer);
  },
};

export const systemRandom: Random = () => Math.random();
