/** Secrets and cursors that come back: invitations, flight tokens, where a page ended. Each has one spelling. */
import { createHash } from 'node:crypto';
import { flightIdOf, invocationIdOf } from '../../../src/domain/ids.ts';
import { decodeCursor, encodeCursor } from '../../../src/store/cursor.ts';
import { createFlightTokens } from '../../../src/trust/flight-tokens.ts';
import { decodeToken, encodeToken } from '../../../src/trust/token.ts';
import { holds } from '../engine/boundary.ts';
import type { Boundary } from '../engine/boundary.ts';
import { readersOf } from './readers.ts';

const ulid = '01J9Z6M3T4V8Q2X7K5B1C0D9EF';
const other = '01J9Z6M3T4V8Q2X7K5B1C0D9EG';
const flights = createFlightTokens(new Uint8Array(32).fill(5));
const flightToken = flights.of(flightIdOf(ulid), 1);
const invitation = { rootFingerprint: new Uint8Array(32).fill(1), secret: new Uint8Array(32).fill(2), addresses: [{ host: '100.64.0.1', port: 7423 }, { host: 'fd7a::1', port: 1 }, { host: 'laptop.ts.net', port: 65_535 }] };
const token = encodeToken(invitation);

const readers = readersOf({
  invitation: (text) => {
    const read = decodeToken(text);
    const plain = text.replace(/\s+/g, '');
    holds(encodeToken(read) === plain || read.addresses.some(({ host }) => host !== host.toLowerCase()) || encodeToken(decodeToken(encodeToken(read))) === encodeToken(read), 'a token has one spelling');
    holds(read.rootFingerprint.length === 32 && read.secret.length === 32 && read.addresses.length > 0, 'a token has all its parts');
  },
  flight: (text) => {
    const id = flights.flightIn(text);
    if (id === undefined) return false;
    const isGood = flights.proves(text, flightIdOf(ulid), 1);
    holds(!isGood || text === flightToken, 'a flight token has one spelling');
    holds(!flights.proves(text, flightIdOf(other), 1) && !(isGood && flights.proves(text, flightIdOf(ulid), 2)), 'a flight token is of one run of one flight');
    return isGood;
  },
  flights: (text) => holds(encodeCursor('flights', decodeCursor('flights', text)) === text, 'a cursor has one spelling'),
  deliveries: (text) => holds(encodeCursor('deliveries', decodeCursor('deliveries', text)) === text, 'a cursor has one spelling'),
});

export const tokens: Boundary = {
  name: 'tokens',
  what: 'invitations, flight tokens, cursors of pages',
  seeds: () => ({
    'an invitation': readers.input('invitation', token),
    'an invitation that a terminal wrapped': readers.input('invitation', token.replace(/.{60}/g, '$&\r\n  ')),
    'a newer invitation': readers.input('invitation', token.replace('bkn1', 'bkn2')),
    'a flight token': readers.input('flight', flightToken),
    'of another run': readers.input('flight', flights.of(flightIdOf(ulid), 2)),
    'a cursor of flights': readers.input('flights', encodeCursor('flights', invocationIdOf(ulid))),
    'a cursor of deliveries': readers.input('deliveries', encodeCursor('deliveries', invocationIdOf(ulid))),
  }),
  words: ['bkn1.', 'bkn2.', 'flt_', '.', '=', '==', '+', '/', '-', '_', 'ZmxpZ2h0czpp', ' ', '\n'],
  // The check at the end keeps changes out: it is made anew for most, so that what lies behind it is reached.
  mutate: (input, dice, second) => {
    if (input[0] !== 0 || dice.chance(0.3)) return Buffer.concat([input.subarray(0, 1), second.subarray(1, dice.between(1, second.length)), input.subarray(dice.between(1, input.length))]);
    return Buffer.concat([Buffer.from([0]), Buffer.from(retold(Buffer.from(input.subarray(1)).toString(), (bytes) => void bytes.writeUInt8(dice.between(0, 255), dice.between(64, bytes.length - 5)), (bytes) => (dice.chance(0.3) ? Buffer.concat([bytes, Buffer.alloc(dice.between(1, 40), dice.between(0, 255))]) : bytes)))]);
  },
  longest: 20_000,
  open: () => ({ run: (input) => readers.run(input) }),
};

/** With what is in it changed, and its check made anew. */
function retold(text: string, change: (body: Buffer) => void, extend: (body: Buffer) => Buffer): string {
  const bytes = Buffer.from(text.replace(/\s+/g, '').slice(5), 'base64url');
  if (bytes.length < 70) return text;
  change(bytes);
  const body = extend(bytes.subarray(0, bytes.length - 4));
  return `bkn1.${Buffer.concat([body, checkOf(body)]).toString('base64url')}`;
}

function checkOf(body: Uint8Array): Buffer {
  return createHash('sha256').update('beckon-token-v1\0').update(body).digest().subarray(0, 4);
}
