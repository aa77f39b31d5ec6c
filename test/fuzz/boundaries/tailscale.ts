/** What tailscaled answers: a program of this machine, of another version than the one these were written for. */
import { readFileSync, readdirSync } from 'node:fs';
import { isIP } from 'node:net';
import { fileURLToPath } from 'node:url';
import { decodeNotify } from '../../../src/discovery/tailscale/notify.ts';
import { decodePing } from '../../../src/discovery/tailscale/ping.ts';
import { decodeStatus } from '../../../src/discovery/tailscale/status.ts';
import { decodeWhoIs } from '../../../src/discovery/tailscale/whois.ts';
import { candidateOf, everyMachine, mayRunNode, passes } from '../../../src/discovery/tailscale/source.ts';
import { judgeApplicant } from '../../../src/domain/admit-rule.ts';
import { holds } from '../engine/boundary.ts';
import type { Boundary } from '../engine/boundary.ts';
import { jsonMutation } from '../engine/mutate-json.ts';
import { readersOf } from './readers.ts';

const fixtures = fileURLToPath(new URL('../../fixtures/tailscale', import.meta.url));

const readers = readersOf({
  status: (text) => {
    const { self, peers } = decodeStatus(text);
    for (const machine of [...peers, ...(self === undefined ? [] : [self])]) {
      holds(machine.id !== '' && machine.addresses.every((each) => isIP(each) !== 0), 'a machine has an id, and its addresses are addresses');
      holds(machine.tags.length === 0 || machine.user === undefined, 'a tagged machine is no person’s');
      passes(everyMachine, machine);
      if (mayRunNode(machine)) holds(candidateOf(machine, 7423).addresses.length > 0, 'a candidate can be dialled');
    }
  },
  whois: (text) => {
    const identity = decodeWhoIs(text, 'tail1234.ts.net');
    holds(identity.id !== '' && identity.addresses.every((each) => isIP(each) !== 0), 'who it is has an id, and addresses that are addresses');
    holds(identity.tags.length === 0 || identity.user === undefined, 'a tagged machine is no person');
    const verdict = judgeApplicant({ identity, own: { owner: 'ada@example.com', user: 'ada@example.com' }, rules: [{ kind: 'capability', value: 'example.com/cap/beckon' }] });
    const isOwn = identity.user === 'ada@example.com' && !identity.isShared && !identity.isExpired;
    holds(verdict.kind !== 'admit' || isOwn || identity.capabilities.has('example.com/cap/beckon'), 'nobody is let in but this machine’s user and whom a rule names');
  },
  bus: (text) => {
    for (const line of text.split('\n')) if (line !== '') decodeNotify(line);
  },
  ping: (text) => {
    const ping = decodePing(text);
    if (ping.kind === 'answered') holds(typeof ping.rttMs === 'number', 'a ping takes a time');
  },
});

/** By the beginnings of the names of the recorded answers. */
const kinds: readonly (readonly [RegExp, string])[] = [[/^status/, 'status'], [/^whois/, 'whois'], [/^bus/, 'bus'], [/^ping/, 'ping']];
const json = jsonMutation(['ada@example.com', 'tagged-devices', '100.64.0.1', 'fd7a:115c:a1e0::1/128', 'tag:server', 'example.com/cap/beckon', 'Running', 'tail1234.ts.net.', 'mullvad.ts.net.']);

export const tailscale: Boundary = {
  name: 'tailscale',
  what: 'answers of tailscaled: status, whois, bus, ping',
  seeds: () => Object.fromEntries(readdirSync(fixtures).flatMap((name) => kinds.flatMap(([form, kind]) => (form.test(name) ? [[name, readers.input(kind, bodyOf(name, readFileSync(`${fixtures}/${name}`, 'utf8')))] as const] : [])))),
  mutate: (input, dice, other) => Buffer.concat([dice.chance(0.02) ? other.subarray(0, 1) : input.subarray(0, 1), json(input.subarray(1), dice, other.subarray(1))]),
  longest: 64 * 1024,
  open: () => ({ run: (input) => readers.run(input) }),
};

/** A recorded answer has its head beside it. */
function bodyOf(name: string, text: string): string {
  if (name.endsWith('.ndjson')) return text;
  const recorded = JSON.parse(text) as { readonly body?: unknown };
  return recorded.body === undefined ? text : typeof recorded.body === 'string' ? recorded.body : JSON.stringify(recorded.body);
}
