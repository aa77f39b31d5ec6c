/** All boundaries, by name; the code of one is loaded when it is asked for, so that what is counted is what it reaches. */
import type { Boundary } from '../engine/boundary.ts';

export const boundaries: Readonly<Record<string, () => Promise<Boundary>>> = {
  addresses: async () => (await import('./addresses.ts')).addresses,
  texts: async () => (await import('./texts.ts')).texts,
  tokens: async () => (await import('./tokens.ts')).tokens,
  tailscale: async () => (await import('./tailscale.ts')).tailscale,
  config: async () => (await import('./config.ts')).config,
  policy: async () => (await import('./policy.ts')).policy,
  files: async () => (await import('./files.ts')).files,
  acp: async () => (await import('./acp.ts')).acp,
  certificates: async () => (await import('./certificates.ts')).certificates,
  records: async () => (await import('./records.ts')).records,
  messages: async () => (await import('./messages.ts')).messages,
  frames: async () => (await import('./frames.ts')).frames,
  enrolment: async () => (await import('./enrolment.ts')).enrolment,
  control: async () => (await import('./control.ts')).control,
  database: async () => (await import('./database.ts')).database,
  ...Object.fromEntries(['crash', 'rejection', 'hang', 'exit', 'state', 'growth'].map((kind) => [`planted-${kind}`, () => planted(`planted-${kind}`)])),
};

/** These have a defect, and show that the fuzzer finds it. */
async function planted(name: string): Promise<Boundary> {
  const { [name]: found } = (await import('./planted.ts')).planters;
  if (found === undefined) throw new Error(`nothing is planted as ${name}`);
  return found;
}
