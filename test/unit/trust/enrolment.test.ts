import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BrokerError, conflict, denied, notFound } from '../../../src/domain/errors.ts';
import type { Clock } from '../../../src/domain/ports.ts';
import { verifyChain } from '../../../src/trust/certificate.ts';
import { decodeAdmission, encodeMessage } from '../../../src/trust/enrolment-messages.ts';
import { proofOfKey } from '../../../src/trust/enrolment-proofs.ts';
import { enrolmentHandler, type Applicant, type EnrolmentDesk } from '../../../src/trust/enrolment.ts';
import type { EntranceRequest } from '../../../src/trust/entrance.ts';
import { createMesh, openIssuer, type Issuer } from '../../../src/trust/mesh-authority.ts';
import { generateNodeKey, type NodeKey } from '../../../src/trust/node-key.ts';
import { hashOfSecret, newSecret } from '../../../src/trust/token.ts';

const nowMs = Date.UTC(2026, 0, 15);
const clock: Clock = { now: () => nowMs, monotonic: () => 0, setTimer: () => () => undefined };
const founder = generateNodeKey();
let directory: string;
let issuer: Issuer;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'beckon-enrolment-'));
  const { root, chain } = await createMesh({ directory, nodeKey: founder, nodeName: 'laptop', owner: 'ann', nowMs });
  const opened = await openIssuer(directory, root, chain.issuer);
  if (opened === undefined) throw new Error('the issuer key was not written');
  issuer = opened;
});
afterAll(() => rm(directory, { recursive: true, force: true }));

const channel = new Uint8Array(32).fill(7);
const secret = newSecret();

interface Asked {
  readonly key?: NodeKey;
  readonly name?: string;
  readonly signedName?: string;
  readonly signedChannel?: Uint8Array;
  readonly signer?: NodeKey;
}

function request({ key = generateNodeKey(), name = 'desktop', signedName = name, signedChannel = channel, signer = key }: Asked = {}): EntranceRequest {
  const { publicKey } = key;
  const proof = signer.sign(proofOfKey({ meshId: issuer.meshId, name: signedName, publicKey, channel: signedChannel }));
  return {
    method: 'POST',
    path: '/v1/enrol',
    body: Buffer.from(encodeMessage({ secret, publicKey, name, proof, addresses: [{ host: 'desktop.lan', port: 7423 }] })),
    remoteAddress: '192.0.2.1:5000',
    localAddress: '192.0.2.9',
    exportKey: () => channel,
  };
}

interface Told {
  readonly desk: EnrolmentDesk;
  readonly log: string[];
  applicant?: Applicant;
}

function desk(steps: { readonly quote?: () => void; readonly admit?: (tries: number) => void } = {}): Told {
  const log: string[] = [];
  const told: Told = {
    log,
    desk: {
      quote: (applicant) =>
        Promise.resolve().then(() => {
          log.push('quote');
          told.applicant = applicant;
          steps.quote?.();
          return { name: applicant.name, owner: 'ann' };
        }),
      advise: () => Promise.resolve({ meshName: 'home', isAdmissible: true, why: '' }),
      admit: (applicant, grant, chain) =>
        Promise.resolve().then(() => {
          log.push(`admit ${verifyChain(chain, issuer.root, nowMs).name}`);
          steps.admit?.(log.length / 2);
          return { meshName: 'home', members: [] };
        }),
    },
  };
  return told;
}

const never = (): Promise<never> => Promise.reject(new Error('nobody asks for that'));

const handle = (asked: EntranceRequest, { desk: given }: Told) =>
  enrolmentHandler({ clock, nodeId: founder.nodeId, issuer: () => issuer, desk: given, renew: never, identify: () => Promise.reject(denied('no tailnet')) })(asked);

describe('enrolment', () => {
  test('signs first, commits then, answers last', async () => {
    const told = desk();
    const key = generateNodeKey();
    const reply = await handle(request({ key, name: 'Desktop' }), told);
    expect(told.log).toEqual(['quote', 'admit desktop']);
    expect(told.applicant).toEqual({
      nodeId: key.nodeId,
      publicKey: key.publicKey,
      name: 'desktop',
      addresses: [{ host: 'desktop.lan', port: 7423 }],
      remoteAddress: '192.0.2.1:5000',
      by: { secretHash: hashOfSecret(secret) },
    });
    const { chain, root } = decodeAdmission(Buffer.from(reply.body));
    expect(verifyChain(chain, root, nowMs)).toMatchObject({ nodeId: key.nodeId, owner: 'ann' });
  });

  test('nothing leaves when the commit fails', async () => {
    const broken = desk({ admit: () => { throw new BrokerError('unavailable', 'the disk is full'); } });
    await expect(handle(request(), broken)).rejects.toMatchObject({ code: 'unavailable', message: 'the disk is full' });
  });

  test('a grant that no longer holds is quoted anew, three times at most', async () => {
    const once = desk({ admit: (tries) => { if (tries < 2) throw conflict('the name was taken'); } });
    await handle(request(), once);
    expect(once.log).toEqual(['quote', 'admit desktop', 'quote', 'admit desktop']);
    const never = desk({ admit: () => { throw conflict('the name was taken'); } });
    await expect(handle(request(), never)).rejects.toMatchObject({ code: 'conflict' });
    expect(never.log).toHaveLength(6);
  });

  test('unknown, used and late tokens get one and the same answer', async () => {
    const causes = [denied('it was used', 'at noon'), denied('it is late'), notFound('no such token')];
    const answers = await Promise.all(
      causes.flatMap((cause) => {
        const fail = (): never => { throw cause; };
        return [desk({ quote: fail }), desk({ admit: fail })].map((told) =>
          handle(request(), told).catch((error: unknown) => JSON.stringify((error as BrokerError).toInfo())),
        );
      }),
    );
    expect(new Set(answers).size).toBe(1);
    expect(answers[0]).toContain('"code":"denied"');
  });

  test.each<[string, Asked]>([
    ['of another connection', { signedChannel: new Uint8Array(32) }],
    ['of another name', { signedName: 'server' }],
    ['of another key', { signer: generateNodeKey() }],
  ])('a proof %s is refused before the desk is asked', async (_what, asked) => {
    const told = desk();
    await expect(handle(request(asked), told)).rejects.toMatchObject({ code: 'unauthenticated' });
    expect(told.log).toEqual([]);
  });

  test('a key to issue with whose holder did not sign is refused before the desk is asked', async () => {
    const told = desk();
    const asked = request();
    const forged = { publicKey: generateNodeKey().publicKey, proof: generateNodeKey().sign(channel) };
    const body = Buffer.from(JSON.stringify({ ...(JSON.parse(Buffer.from(asked.body).toString()) as object), issuerKey: JSON.parse(encodeMessage(forged)) as unknown }));
    await expect(handle({ ...asked, body }, told)).rejects.toMatchObject({ code: 'unauthenticated', message: expect.stringContaining('issue with') });
    expect(told.log).toEqual([]);
  });

  test.each(['Desk top', 'k51x', '-x', 'ä', 'x'.repeat(41), '\u001b[2J'])('the name %j is invalid', async (name) => {
    const told = desk();
    await expect(handle(request({ name }), told)).rejects.toMatchObject({ code: 'invalid' });
    expect(told.log).toEqual([]);
  });

  test.each(['', '[]', 'null', '{"secret":1}', '{', `{"secret":"${'A'.repeat(10_000)}"}`, '{"secret":"AAA+"}'])('the body %.20s is invalid', async (body) => {
    const told = desk();
    await expect(handle({ ...request(), body: Buffer.from(body) }, told)).rejects.toMatchObject({ code: 'invalid' });
    expect(told.log).toEqual([]);
  });

  test('a node that is no issuer says so to all', async () => {
    const handler = enrolmentHandler({ clock, nodeId: founder.nodeId, issuer: () => undefined, desk: desk().desk, renew: never, identify: () => Promise.reject(denied('no tailnet')) });
    await expect(handler(request())).rejects.toMatchObject({ code: 'unavailable' });
  });

  test('bytes travel as bytes, whatever kind of array holds them', () => {
    const bytes = [1, 2, 255];
    for (const each of [Uint8Array.from(bytes), Buffer.from(bytes)]) {
      expect(encodeMessage({ root: each, members: [{ chain: { leaf: each } }] })).toBe('{"root":"AQL_","members":[{"chain":{"leaf":"AQL_"}}]}');
    }
  });
});
