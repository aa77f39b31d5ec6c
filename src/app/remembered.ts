/** The flags of the last `up` that named some: a bare `up` later does the same. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { BrokerError } from '../domain/errors.ts';
import { isMissing } from '../domain/system-error.ts';
import { writeDurably } from './durable-file.ts';

const schema = z.strictObject({
  name: z.string().optional(),
  listen: z.array(z.string()).optional(),
  gossipListen: z.string().optional(),
  seeds: z.array(z.string()).optional(),
  tailscale: z.string().optional(),
  metrics: z.string().optional(),
});

export interface UpFlags {
  readonly name?: string;
  /** host:port */
  readonly listen?: readonly string[];
  readonly gossipListen?: string;
  /** host:port */
  readonly seeds?: readonly string[];
  readonly tailscale?: string;
  /** host:port, or `off` */
  readonly metrics?: string;
}

export function rememberedPath(stateDir: string): string {
  return join(stateDir, 'up.json');
}

/** @throws BrokerError `invalid` when the file is there and can't be understood */
export async function readRemembered(path: string): Promise<UpFlags> {
  try {
    return withoutUndefined(schema.parse(JSON.parse(await readFile(path, 'utf8'))));
  } catch (error) {
    if (isMissing(error)) return {};
    throw new BrokerError('invalid', `${path} can’t be understood`, { hint: `it holds the flags of the last beckon up: remove it, and give them again`, cause: error });
  }
}

/** Each flag given replaces what was remembered of it. */
export function mergeFlags(remembered: UpFlags, given: UpFlags): UpFlags {
  return withoutUndefined({ ...remembered, ...withoutUndefined(given) });
}

/** Durable when it resolves; a crash leaves the old file or the new. @throws BrokerError `unavailable` */
export async function writeRemembered(path: string, flags: UpFlags): Promise<void> {
  try {
    await writeDurably(path, `${JSON.stringify(flags, undefined, 2)}\n`);
  } catch (error) {
    throw new BrokerError('unavailable', `the flags can’t be remembered in ${path}`, { hint: 'is the disk full?', cause: error });
  }
}

function withoutUndefined(flags: z.infer<typeof schema> | UpFlags): UpFlags {
  return Object.fromEntries(Object.entries(flags).filter(([, value]) => value !== undefined)) as UpFlags;
}
