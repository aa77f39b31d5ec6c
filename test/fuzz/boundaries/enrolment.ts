/**
 * The entrance: what somebody without a certificate can send, as bytes of HTTP to the real server behind the handshake, with the real desk
 * of an issuer. The connection is in memory and shows one channel key, so that proofs in the seeds are good ones.
 */
import { sign } from 'node:crypto';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Standing } from '../../../src/app/standing.ts';
import { renewalDesk } from '../../../src/app/renewal.ts';
import { denied } from '../../../src/domain/errors.ts';
import { formatHostPort } from '../../../src/domain/host-port.ts';
import type { TailnetIdentity } from '../../../src/domain/tailnet.ts';
import { enrolmentHandler } from '../../../src/trust/enrolment.ts';
import type { Applicant } from '../../../src/trust/enrolment.ts';
import { encodeMessage } from '../../../src/trust/enrolment-messages.ts';
import { proofForRenewal, proofOfIssuerKey, proofOfKey } from '../../../src/trust/enrolment-proofs.ts';
import { Entrance } from '../../../src/trust/entrance.ts';
import { writeKeyFile } from '../../../src/trust/key-file.ts';
import { issuerKeyPath, openIssuer } from '../../../src/trust/mesh-authority.ts';
import type { Issuer } from '../../../src/trust/mesh-authority.ts';
import { rawPublicKey } from '../../../src/trust/node-key.ts';
import { hashOfSecret } from '../../../src/trust/token.ts';
import { holds } from '../engine/boundary.ts';
import type { Boundary, Target, Verdict } from '../engine/boundary.ts';
import { jsonMutation } from '../engine/mutate-json.ts';
import { keyOf, nodeKey, nowMs, who } from './mesh-keys.ts';
import { scratch } from './places.ts';
import { ends } from './connections.ts';
import { cards, World } from './world.ts';
import type { Cards } from './world.ts';

const secret = new Uint8Array(32).fill(9);
const channel = new Uint8Array(32).fill(3);
const joiner = 30;
/** Bytes that are left to come would be waited for. */
const turns = 10;
const plenty = { perAddress: { burst: 1e9, perMinute: 1e9 }, overall: { burst: 1e9, perMinute: 1e9 }, mostAddresses: 16 };

export const enrolment: Boundary = {
  name: 'enrolment',
  what: 'the entrance for who has no certificate: HTTP, applications, tokens, renewals',
  seeds: async () => seedsOf(await cards()),
  words: ['POST /v1/enrol HTTP/1.1\r\n', 'GET /v1/root HTTP/1.1\r\n', '/v1/apply', '/v1/renew', '/v1/ask', 'Transfer-Encoding: chunked\r\n', 'Content-Length: ', 'Expect: 100-continue\r\n', 'Connection: keep-alive\r\n', 'Upgrade: h2c\r\n', '\r\n\r\n', '0\r\n\r\n', 'ffffffff\r\n'],
  mutate: (() => {
    const json = jsonMutation(['laptop', Buffer.from(secret).toString('base64url'), 'A'.repeat(43), 'A'.repeat(86)]);
    return (input, dice, other) => {
      const [head, body] = parts(input);
      const [otherHead, otherBody] = parts(other);
      if (dice.chance(0.1)) return Buffer.concat([otherHead, body]);
      if (body.length === 0) return input;
      const changed = dice.chance(0.4) ? provenAnew(json(body, dice, otherBody)) : json(body, dice, otherBody);
      return Buffer.concat([Buffer.from(Buffer.from(head).toString('latin1').replace(/content-length: \d+/i, `content-length: ${changed.length}`), 'latin1'), changed]);
    };
  })(),
  renewEvery: 2_000,
  longest: 24 * 1024,
  open: async () => {
    const { path, close } = scratch();
    const given = await cards();
    await writeKeyFile(issuerKeyPath(path, given.meshId), keyOf(2));
    const issuer = await openIssuer(path, given.mesh.root, given.mesh.issuer);
    if (issuer === undefined) throw new Error('the issuer’s key is not there');
    const target = new EnrolmentTarget(given, issuer, close);
    await target.renew();
    return target;
  },
};

class EnrolmentTarget implements Target {
  readonly #cards: Cards;
  readonly #issuer: Issuer;
  readonly #forget: () => void;
  #world: World | undefined;
  #entrance: Entrance | undefined;
  #refusals = 0;

  constructor(given: Cards, issuer: Issuer, forget: () => void) {
    this.#cards = given;
    this.#issuer = issuer;
    this.#forget = forget;
  }

  async renew(): Promise<void> {
    await this.#world?.close();
    const world = (this.#world = await World.open(this.#cards));
    const { store, clock, chronicler, broker, nodeId } = world;
    await store.write.addInvite({ stamp: chronicler.stamp(), invite: { secretHash: hashOfSecret(secret), owner: 'ada', expiresAtMs: nowMs + 1e12 } as Parameters<typeof store.write.addInvite>[0]['invite'] });
    const wishOf = ({ addresses, ...rest }: Applicant): Parameters<typeof broker.admission.quote>[0] => ({ ...rest, addresses: addresses.map(formatHostPort) });
    const identity: TailnetIdentity = { id: 'n1', name: 'tower', user: 'bob@example.com', tags: [], addresses: ['100.64.0.30'], isExpired: false, isShared: false, isRouter: false, capabilities: new Map() };
    const handle = enrolmentHandler({
      clock, nodeId, issuer: () => this.#issuer,
      desk: {
        quote: (applicant) => broker.admission.quote(wishOf(applicant)),
        advise: (asked) => broker.admission.advise(asked),
        admit: async (applicant, grant, chain, issuerDer) => {
          const { meshName, members } = await broker.admission.admit(wishOf(applicant), grant, chain, issuerDer);
          return { meshName, members: members.map((each) => ({ chain: each.chain, addresses: [] })) };
        },
      },
      renew: renewalDesk({ store, standing: new Standing(store), clock, renewals: () => broker.membership.renewals }),
      identify: ({ remoteAddress }) => (remoteAddress.endsWith(':1') ? Promise.reject(denied('it did not come through the tailnet')) : Promise.resolve(identity)),
    });
    this.#entrance = new Entrance({ clock, handle: (request) => world.track(handle(request)), onRefused: () => void (this.#refusals += 1), limits: { rates: plenty } });
  }

  async close(): Promise<void> {
    await this.#world?.close();
    this.#world = undefined;
    this.#forget();
  }

  state(): string {
    return this.#world?.state() ?? '';
  }

  async settle(): Promise<void> {
    await this.#world?.settled();
  }

  async run(input: Uint8Array): Promise<Verdict> {
    const [world, entrance] = [this.#world, this.#entrance];
    if (world === undefined || entrance === undefined) throw new Error('it was closed');
    const [near, far] = ends();
    const socket = Object.assign(far, { localAddress: '100.64.0.20', exportKeyingMaterial: () => Buffer.from(channel) }) as unknown as TLSSocket;
    const answer: Buffer[] = [];
    near.on('data', (bytes: Buffer) => void answer.push(bytes));
    for (const end of [near, far] as readonly Duplex[]) end.on('error', () => undefined);
    const before = this.#refusals;
    entrance.admit(socket, '100.64.0.30:4000');
    near.write(input);
    for (let turn = 0; turn < turns; turn += 1) await nextTurn();
    await world.settled();
    for (let turn = 0; turn < 60 && !far.destroyed; turn += 1) await nextTurn();
    // Who has more to say is cut off in time.
    if (!far.destroyed) await world.settled(41_000);
    for (let turn = 0; turn < 50 && !far.destroyed; turn += 1) await nextTurn();
    holds(far.destroyed, 'a visit ends in time, whatever was sent');
    near.destroy();
    await nextTurn();
    world.checked();
    const said = Buffer.concat(answer).toString('latin1');
    const [, status = ''] = /^HTTP\/1\.1 (\d{3}) /.exec(said) ?? [];
    holds(status !== '500', `a stranger is told of no fault of the node: ${said.slice(-200)}`);
    holds(said === '' || /^HTTP\/1\.1 \d{3} /.test(said), 'what is answered is HTTP');
    holds(this.#refusals - before === (status === '200' ? 0 : 1) || said.startsWith('HTTP/1.1 100'), 'a visit without success is told once');
    // Who has to wait is remembered, for a person to see.
    return status === '200' || said.includes('it has to wait') ? 'accepted' : 'refused';
  }
}

const end = Buffer.from('\r\n\r\n');

function parts(bytes: Uint8Array): readonly [head: Uint8Array, body: Uint8Array] {
  const at = Buffer.from(bytes).indexOf(end);
  return at < 0 ? [bytes, new Uint8Array(0)] : [bytes.subarray(0, at + 4), bytes.subarray(at + 4)];
}

const base64url = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64url');
const signed = (number: number, statement: Uint8Array): string => base64url(sign(null, statement, keyOf(number)));
const meshIdIn: { current: Cards['meshId'] | undefined } = { current: undefined };

/** An application that was changed by the one that applies, who can prove it. */
function provenAnew(bytes: Uint8Array): Uint8Array {
  const meshId = meshIdIn.current;
  try {
    const message = JSON.parse(Buffer.from(bytes).toString()) as Record<string, unknown>;
    if (meshId === undefined || typeof message['name'] !== 'string') return bytes;
    const publicKey = nodeKey(joiner).publicKey;
    return Buffer.from(JSON.stringify({ ...message, publicKey: base64url(publicKey), proof: signed(joiner, proofOfKey({ meshId, name: message['name'], publicKey, channel })) }));
  } catch {
    return bytes;
  }
}

function seedsOf({ meshId, chains }: Cards): Readonly<Record<string, Uint8Array>> {
  meshIdIn.current = meshId;
  const publicKey = nodeKey(joiner).publicKey;
  const issuerKey = rawPublicKey(keyOf(31));
  const application = {
    name: 'tower-2', publicKey, addresses: [{ host: '100.64.0.30', port: 7423 }],
    proof: signed(joiner, proofOfKey({ meshId, name: 'tower-2', publicKey, channel })),
    issuerKey: { publicKey: issuerKey, proof: signed(31, proofOfIssuerKey({ meshId, nodeKey: publicKey, publicKey: issuerKey, channel })) },
  };
  const renewal = { chain: chains.peer, nowMs, proof: signed(who.peer, proofForRenewal({ meshId, leaf: chains.peer.leaf, nowMs, channel })) };
  const request = (first: string, body = ''): Uint8Array => Buffer.from(`${first} HTTP/1.1\r\nhost: issuer\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
  return {
    'the root': request('GET /v1/root'),
    'a question': request('GET /v1/ask?x=1'),
    'a token': request('POST /v1/enrol', encodeMessage({ secret, ...application })),
    'a wrong token': request('POST /v1/enrol', encodeMessage({ secret: channel, ...application })),
    'an application': request('POST /v1/apply', encodeMessage(application)),
    'a renewal': request('POST /v1/renew', encodeMessage(renewal)),
    'another page': request('GET /'),
    'in chunks': Buffer.from('POST /v1/apply HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{"a":\r\n2\r\n1}\r\n0\r\n\r\n'),
  };
}
