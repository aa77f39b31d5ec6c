/**
 * The joiner's side of an invitation. Step one asks every address of the token who it is, trusting nobody and telling
 * nothing; what does not lead to the root that the token pins is dropped. Step two, on a new connection that must verify up
 * to that root and be with the issuer's own node, shows the token's secret. So neither a man in the middle, who has no
 * certificate under the root, nor a member that is no issuer ever sees it.
 */
import { BrokerError } from '../domain/errors.ts';
import { formatHostPort, type HostPort } from '../domain/host-port.ts';
import { codeOf, wordsOf } from '../domain/system-error.ts';
import { fingerprintOf } from './certificate.ts';
import { TimedOut } from './https-call.ts';
import { askToJoin, IssuerRefusal, meetIssuer, type Admission, type IssuerCall, type Wish } from './issuer-call.ts';
import { describeServerRefused } from './tls-errors.ts';
import type { Invitation } from './token.ts';

export interface EnrolOptions extends Omit<Wish, 'secret'>, IssuerCall {
  readonly invitation: Invitation;
}

/**
 * Joins at the first address that works.
 * @throws BrokerError `denied` when an issuer refuses the token; `unauthenticated` when whoever answers is not the mesh
 * of the token; `unavailable` naming each address and why; the issuer's own error when it found the request wrong.
 */
export async function enrol(options: EnrolOptions): Promise<Admission> {
  const settled = new AbortController();
  const signal = options.signal === undefined ? settled.signal : AbortSignal.any([options.signal, settled.signal]);
  try {
    return await enrolAtFirst({ ...options, signal });
  } catch (error) {
    if (options.signal?.aborted !== true) throw error;
    throw new BrokerError('cancelled', 'joining was cancelled', { cause: error });
  } finally {
    settled.abort();
  }
}

/** Asks all addresses who they are at once, and joins at them one by one, in the order in which they answered. */
async function enrolAtFirst(options: EnrolOptions): Promise<Admission> {
  const { rootFingerprint, secret, addresses } = options.invitation;
  const isPinned = (root: Uint8Array): boolean => Buffer.from(fingerprintOf(root)).equals(rootFingerprint);
  const failures: Failure[] = [];
  const asking = new Map(
    addresses.map((address, index) => [
      index,
      attempt(address, () => meetIssuer(address, options, isPinned)).then((outcome) => ({ index, address, outcome })),
    ]),
  );
  while (asking.size > 0) {
    const { index, address, outcome } = await Promise.race(asking.values());
    asking.delete(index);
    const result = outcome.kind === 'done' ? await attempt(address, () => askToJoin(outcome.value, { ...options, secret }, options)) : outcome;
    if (result.kind === 'done') return result.value;
    failures.push(result);
  }
  throw failed(failures);
}

interface Done<T> {
  readonly kind: 'done';
  readonly value: T;
}

interface Failure {
  readonly kind: 'failure';
  readonly address: HostPort;
  readonly why: string;
  /** Somebody answered and is not the mesh of the token. */
  readonly isForeign: boolean;
  readonly hint?: string | undefined;
}

async function attempt<T>(address: HostPort, step: () => Promise<T>): Promise<Done<T> | Failure> {
  try {
    return { kind: 'done', value: await step() };
  } catch (error) {
    // Final for this token at any address.
    if (error instanceof IssuerRefusal) throw error.error;
    const refused = describeServerRefused(error);
    const isForeign = refused !== undefined || (error instanceof BrokerError && error.code === 'unauthenticated');
    const hint = /^CERT_(HAS_EXPIRED|NOT_YET_VALID)$/.test(codeOf(error)) ? 'check the clocks of both machines' : undefined;
    return { kind: 'failure', address, why: refused ?? whyOf(error), isForeign, hint };
  }
}

function failed(failures: readonly Failure[]): BrokerError {
  const list = failures.map(({ address, why }) => `${formatHostPort(address)}: ${why}`).join('; ');
  const hint = failures.find((each) => each.hint !== undefined)?.hint;
  if (failures.length > 0 && failures.every(({ isForeign }) => isForeign)) {
    return new BrokerError('unauthenticated', `not joined: ${list}`, {
      hint: hint ?? 'another mesh, or somebody in the middle, answers there; make a new token on a node of the mesh',
    });
  }
  return new BrokerError('unavailable', `not joined; no address of the token worked: ${list}`, {
    hint: hint ?? 'check that the node that made the token is up and can be reached from here',
  });
}

function whyOf(error: unknown): string {
  if (error instanceof TimedOut || error instanceof BrokerError) return error.message;
  switch (codeOf(error)) {
    case 'ECONNREFUSED':
      return 'nothing listens there';
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return 'there is no such host';
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
      return 'it cannot be reached from here';
    case 'ECONNRESET':
      return 'it closed the connection';
    default:
      return wordsOf(error);
  }
}
