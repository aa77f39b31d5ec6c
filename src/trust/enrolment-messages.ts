/** What goes over the wire when a node joins: JSON, bytes as base64url. Both sides check what they read. */
import { z } from 'zod';
import { longestAuthorities } from './authorities.ts';
import { longestCertificate } from './certificate-form.ts';
import { BrokerError, type ErrorInfo } from '../domain/errors.ts';
import type { HostPort } from '../domain/host-port.ts';
import { isNodeId } from '../domain/ids.ts';
import { readBy } from '../domain/read-by.ts';
import type { CertificateChain } from '../domain/trust.ts';

export const enrolmentPaths = {
  root: '/v1/root',
  enrol: '/v1/enrol',
  /** What an issuer would say to the machine that asks; by the word of the tailnet alone, and without consequence. */
  ask: '/v1/ask',
  /** Entering without a token, by the word of the tailnet. */
  apply: '/v1/apply',
  /** Another certificate, for a member whose own has ended. */
  renew: '/v1/renew',
} as const;

const base64url = /^[A-Za-z0-9_-]*$/;
const bytes = (minLength: number, maxLength: number) =>
  z
    .string()
    .max(Math.ceil((maxLength * 4) / 3))
    .regex(base64url)
    .transform((text) => new Uint8Array(Buffer.from(text, 'base64url')))
    .refine((decoded) => decoded.length >= minLength && decoded.length <= maxLength, {
      error: minLength === maxLength ? `must have ${minLength} bytes` : `must have ${minLength} to ${maxLength} bytes`,
    });
const certificate = bytes(1, longestCertificate);
const chain = z.object({ leaf: certificate, issuer: certificate });

const introduction = z.object({
  root: certificate,
  issuer: certificate,
  nodeId: z.string().max(100).refine(isNodeId, { error: 'must be a node id' }),
  /** Ed25519 by the issuer's key over `issuerStatement`. */
  attestation: bytes(64, 64),
  /** The root that the mesh's id is made of, when that is another; and what proves that this one follows it. */
  first: certificate.optional(),
  authorities: bytes(1, longestAuthorities).optional(),
});
/** How an issuer answers before anybody trusts it; all of it can be checked by who knows the root's fingerprint. */
export type Introduction = z.infer<typeof introduction>;

const addresses = z
  .array(z.object({ host: z.string().min(1).max(255), port: z.int().min(1).max(65_535) }))
  .max(64);

const application = z.object({
  publicKey: bytes(32, 32),
  name: z.string().min(1).max(200),
  /** Where the applicant listens, as far as it knows. A hint for dialling: who answers there must prove its key. */
  addresses: addresses.default([]),
  /** Ed25519 over `proofOfKey`. */
  proof: bytes(64, 64),
  /** A second key, for the case that the node is to let others in: it becomes an issuer if its issuer says so. */
  issuerKey: z
    .object({ publicKey: bytes(32, 32), /** Ed25519 by that key over `proofOfIssuerKey`. */ proof: bytes(64, 64) })
    .optional(),
});
export type Application = z.infer<typeof application>;

const enrolRequest = z.object({ secret: bytes(32, 32), ...application.shape });
export type EnrolRequest = z.infer<typeof enrolRequest>;

const advice = z.object({ meshName: z.string().max(200), isAdmissible: z.boolean(), why: z.string().max(1000) });
/** What an application would lead to; `why` is empty when it would be let in. */
export type Advice = z.infer<typeof advice>;

const admission = z.object({
  meshName: z.string().max(200),
  root: certificate,
  chain,
  issuerCertificate: certificate.optional(),
  members: z
    .array(z.object({ chain, addresses }))
    .max(10_000),
});

/** A member as the roster has it. */
export interface MemberCard {
  readonly chain: CertificateChain;
  readonly addresses: readonly HostPort[];
}

export interface AdmissionAnswer {
  readonly meshName: string;
  readonly root: Uint8Array;
  readonly chain: CertificateChain;
  /** Over the `issuerKey` of the request, by the root: the node may let others in. */
  readonly issuerCertificate?: Uint8Array | undefined;
  readonly members: readonly MemberCard[];
}

const renewalRequest = z.object({
  /** The certificate that it has, ended or not. */
  chain,
  /** The wall clock of who asks. */
  nowMs: z.int().min(0),
  /** Ed25519 over `proofForRenewal`. */
  proof: bytes(64, 64),
});
export type RenewalRequest = z.infer<typeof renewalRequest>;

const renewalAnswer = z.union([z.object({ chain }), z.object({ revocation: z.object({ payload: bytes(1, 256 * 1024), signature: bytes(64, 64) }) })]);
export type RenewalAnswer = z.infer<typeof renewalAnswer>;

const problem = z.object({
  error: z.object({ code: z.string().max(40), message: z.string().max(1000), hint: z.string().max(1000).optional(), detail: z.object({ key: z.string().max(40).optional() }).optional() }),
});

/** The JSON text of any of these messages. */
export function encodeMessage(message: object): string {
  return JSON.stringify(message, function (this: Record<string, unknown>, key, value: unknown) {
    // As it was before a Buffer's own toJSON had its say.
    const original = this[key];
    return original instanceof Uint8Array ? Buffer.from(original).toString('base64url') : value;
  });
}

/** @throws BrokerError `invalid`, naming the field. */
export function decodeEnrolRequest(body: Uint8Array): EnrolRequest {
  return decode(enrolRequest, body, 'the request to join');
}

/** @throws BrokerError `invalid`, naming the field. */
export function decodeApplication(body: Uint8Array): Application {
  return decode(application, body, 'the application');
}

/** @throws BrokerError `invalid`, naming the field. */
export function decodeAdvice(body: Uint8Array): Advice {
  return decode(advice, body, 'the answer');
}

/** @throws BrokerError `invalid`, naming the field. */
export function decodeIntroduction(body: Uint8Array): Introduction {
  return decode(introduction, body, 'the answer');
}

/** @throws BrokerError `invalid`, naming the field. */
export function decodeAdmission(body: Uint8Array): AdmissionAnswer {
  return decode(admission, body, 'the answer');
}

/** @throws BrokerError `invalid`, naming the field. */
export function decodeRenewalRequest(body: Uint8Array): RenewalRequest {
  return decode(renewalRequest, body, 'the request to renew');
}

/** @throws BrokerError `invalid`, naming the field. */
export function decodeRenewalAnswer(body: Uint8Array): RenewalAnswer {
  return decode(renewalAnswer, body, 'the answer');
}

/** The error that an issuer answered with, or undefined when the body holds none. */
export function decodeProblem(body: Uint8Array): (Omit<ErrorInfo, 'code'> & { readonly code: string }) | undefined {
  try {
    const { code, message, hint, detail } = decode(problem, body, 'the refusal').error;
    return { code, message, ...(hint === undefined ? {} : { hint }), ...(detail?.key === undefined ? {} : { detail: { key: detail.key } }) };
  } catch (error) {
    if (error instanceof BrokerError) return undefined;
    throw error;
  }
}

function decode<T>(schema: z.ZodType<T>, body: Uint8Array, what: string): T {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch (error) {
    throw new BrokerError('invalid', `${what} is not JSON`, { cause: error });
  }
  const result = readBy(schema, value);
  if (result?.success === true) return result.data;
  const [issue] = result?.error.issues ?? [];
  const field = issue === undefined || issue.path.length === 0 ? '' : `${issue.path.join('.').slice(0, 100)}: `;
  throw new BrokerError('invalid', `${what} is malformed: ${field}${issue?.message ?? 'not as expected'}`);
}
