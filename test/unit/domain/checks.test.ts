import { describe, expect, test } from 'vitest';
import { agentsCheck, certificateCheck, gossipCheck, clockCheck, databaseCheck, issuersCheck, listeningCheck, meshCheck, peersCheck, reachableCheck, rootCheck, tailnetCheck } from '../../../src/domain/checks.ts';
import type { Check, DialledBack } from '../../../src/domain/checks.ts';
import type { NodeId } from '../../../src/domain/ids.ts';
import type { PeerView } from '../../../src/domain/mesh-port.ts';
import type { PeerState } from '../../../src/domain/peer.ts';
import type { TailnetStatus, TailnetView } from '../../../src/domain/tailnet.ts';

const peer = (name: string, state: PeerState, why = 'because'): PeerView => ({ nodeId: name as NodeId, name, state, why, sinceMs: 0 });
const seed = (name: string): PeerView => ({ ...peer(name, 'unreachable', `${name} does not answer`), nodeId: '' as NodeId });
const dayMs = 86_400_000;
const nowMs = Date.UTC(2026, 0, 1);
const certificate = (from: number, to: number) => certificateCheck({ notBeforeMs: nowMs + from * dayMs, notAfterMs: nowMs + to * dayMs }, nowMs);
const status: TailnetStatus = { version: '1.90', state: 'Running', isUserspace: true, addresses: ['100.64.0.1'], name: 'ann.ts.net', dnsSuffix: '', peers: [] };
const absent: TailnetView = { kind: 'absent', why: 'no tailscaled here' };
const reached: DialledBack = { name: 'desktop', results: [{ address: 'a:1', reached: true }, { address: 'b:1', reached: false, why: 'b:1 does not answer' }] };
const notReached: DialledBack = { name: 'server', results: [{ address: 'a:1', reached: false, why: 'a:1 does not answer' }] };

describe('a check says what is so, and what to do when it is not well', () => {
  test.each<[what: string, check: Check, ok: boolean, detail: RegExp, hint: RegExp]>([
    ['no tailscale, and none wanted', tailnetCheck(undefined, true), true, /--tailscale off/, /^$/],
    ['a tailnet', tailnetCheck({ kind: 'up', status }, true), true, /tailscaled 1\.90 is connected to ann\.ts\.net as 100\.64\.0\.1, without a network interface; 0 other machines online/, /^$/],
    ['no tailscaled where it is needed', tailnetCheck(absent, true), false, /no tailscaled here/, /sudo tailscale up.*--listen/],
    ['no tailscaled where another address was named', tailnetCheck(absent, false), true, /no tailscaled here/, /--tailscale off/],
    ['a tailscaled with its own advice', tailnetCheck({ kind: 'down', state: 'NeedsLogin', why: 'it is logged out', hint: 'tailscale login' }, true), false, /logged out/, /^tailscale login$/],

    ['a port', listeningCheck({ addresses: ['10.0.0.1:7423'], note: undefined }), true, /at 10\.0\.0\.1:7423$/, /^$/],
    ['a port of this machine only', listeningCheck({ addresses: ['127.0.0.1:7423'], note: 'it listens on this machine only: give --listen' }), true, /on this machine only/, /--listen/],
    ['no port', listeningCheck({ addresses: [], note: undefined }), false, /nowhere/, /beckon restart/],

    ['a certificate', certificate(-30, 60), true, /in force until 2026-03-02, 60d from now/, /^$/],
    ['one that ends soon', certificate(-80, 14), false, /14d from now/, /no node that lets others in has renewed it/],
    ['one that ended', certificate(-90, -1), false, /ended on 2025-12-31/, /renewed as soon as a node that lets others in can be reached, until 2026-03-31/],
    ['one that ended long ago', certificate(-190, -91), false, /ended on/, /beckon mesh leave.*mesh invite/],
    ['one whose renewal fails', certificateCheck({ notBeforeMs: nowMs - 70 * dayMs, notAfterMs: nowMs + 20 * dayMs }, nowMs, 'nobody is there'), true, /20d from now; renewing it failed: nobody is there/, /^$/],
    ['one that has not begun', certificate(1, 90), false, /from 2026-01-02 on only/, /clock/],

    ['one whose renewal has failed for ten days', certificateCheck({ notBeforeMs: nowMs - 71 * dayMs, notAfterMs: nowMs + 19 * dayMs }, nowMs, 'nobody is there'), false, /renewing it failed: nobody is there/, /has to be up/],
    ['no issuer met for long', issuersCheck({ isIssuer: false, known: 2, members: 3, others: 1, seenMs: nowMs - 31 * dayMs }, nowMs), false, /met for 31d/, /recovery import/],
    ['no issuer met for a while', issuersCheck({ isIssuer: false, known: 2, members: 3, others: 1, seenMs: nowMs - 30 * dayMs }, nowMs), true, /lets nobody in/, /^$/],
    ['the only issuer, with a recovery file', issuersCheck({ isIssuer: true, known: 1, members: 3, others: 0, recoveryMs: nowMs - dayMs }, nowMs), true, /lets others in/, /^$/],
    ['the root', rootCheck({ endMs: nowMs + 800 * dayMs, count: 1, isKeyHere: false }, nowMs), true, /^the key of the mesh holds until 2028-\d\d-\d\d$/, /^$/],
    ['a root near its end', rootCheck({ endMs: nowMs + 700 * dayMs, count: 1, isKeyHere: true }, nowMs), false, /it is on this machine/, /mesh root renew/],
    ['a new root in no recovery file', rootCheck({ endMs: nowMs + 7_000 * dayMs, madeMs: nowMs - dayMs, count: 2, isKeyHere: true, recoveryMs: nowMs - 2 * dayMs }, nowMs), false, /2 roots count; it is on this machine, and in no recovery file/, /mesh recovery export/],
    ['a new root in a recovery file', rootCheck({ endMs: nowMs + 7_000 * dayMs, madeMs: nowMs - 2 * dayMs, count: 2, isKeyHere: true, recoveryMs: nowMs - dayMs }, nowMs), true, /2 roots count/, /^$/],
    ['an issuer', issuersCheck({ isIssuer: true, known: 1, members: 3, others: 1 }, nowMs), true, /lets others in; 1 issuer has signed the 3 certificates/, /^$/],
    ['the only issuer', issuersCheck({ isIssuer: true, known: 1, members: 3, others: 0 }, nowMs), true, /lets others in/, /mesh recovery export/],
    ['an issuer whose certificate as one ends', issuersCheck({ isIssuer: true, known: 1, members: 3, others: 1, life: { notBeforeMs: nowMs - 1700 * dayMs, notAfterMs: nowMs + 100 * dayMs } }, nowMs), false, /until 2026-04-11 only/, /mesh issuer add/],
    ['no issuer', issuersCheck({ isIssuer: false, known: 2, members: 3, others: 1 }, nowMs), true, /lets nobody in; 2 issuers have/, /^$/],

    ['nobody else', peersCheck([]), true, /no other node/, /mesh invite/],
    ['peers, one asleep', peersCheck([peer('phone', 'unreachable', 'p:1 does not answer'), peer('desktop', 'alive')]), true, /^1 alive; phone unreachable \(p:1 does not answer\)$/, /^$/],
    ['nobody alive', peersCheck([peer('phone', 'unreachable')]), false, /^0 alive/, /on a network/],
    ['one to be updated', peersCheck([peer('desktop', 'alive'), peer('phone', 'incompatible', 'update Beckon on phone')]), false, /update Beckon on phone/, /update/],
    ['a seed that does not answer', peersCheck([seed('s:1'), peer('desktop', 'alive')]), true, /s:1 does not answer/, /^$/],
    ['only members that left', peersCheck([peer('phone', 'left', 'it left the mesh')]), true, /^0 alive/, /^$/],

    ['a node that is dialled back', reachableCheck([reached], false), true, /from desktop at a:1; not from desktop at b:1: b:1 does not answer/, /^$/],
    ['one that some can not dial', reachableCheck([notReached, reached], false), true, /not from server at a:1/, /^$/],
    ['one that nobody can dial', reachableCheck([notReached], false), false, /not from server at a:1: a:1 does not answer/, /firewall/],
    ['one that told no address', reachableCheck([{ name: 'desktop', results: [] }], false), false, /no address/, /--listen/],
    ['one whose peers are too old to try', reachableCheck([{ name: 'desktop', why: 'it runs Beckon 0.1' }], false), true, /desktop could not try: it runs/, /^$/],
    ['one without links', reachableCheck([], false), false, /no other node is linked/, /beckon peers/],
    ['one alone', reachableCheck([], true), true, /no other node/, /^$/],

    ['clocks that agree', clockCheck([{ name: 'a', aheadMs: -20 }, { name: 'b', aheadMs: 900 }]), true, /within 900ms of 2 other nodes/, /^$/],
    ['one clock that is off', clockCheck([{ name: 'a', aheadMs: 120_000 }, { name: 'b', aheadMs: 5 }]), false, /^a is 2m ahead$/, /machines named/],
    ['this clock, which is off', clockCheck([{ name: 'a', aheadMs: -120_000 }, { name: 'b', aheadMs: -121_000 }]), false, /a is 2m behind; b is 2m 1s behind/, /this machine’s clock/],
    ['no clock to compare with', clockCheck([]), true, /no other node/, /^$/],

    ['agents', agentsCheck([{ address: '@a@x#m', available: true }]), true, /1 available/, /^$/],
    ['one that can not run', agentsCheck([{ address: '@a@x#m', available: true }, { address: '@b@x#m', available: false, why: 'no such command' }]), false, /@b@x#m is not available: no such command/, /agent show/],
    ['none', agentsCheck([]), true, /none/, /agent add/],

    ['a sound database', databaseCheck('ok'), true, /sound/, /^$/],
    ['a damaged one', databaseCheck('row 3 missing'), false, /row 3 missing/, /restore/],
    ['a member', meshCheck('home'), true, /home/, /^$/],
    ['no member', meshCheck(undefined), true, /alone/, /mesh create/],
  ])('%s', (_what, check, ok, detail, hint) => {
    expect(check.ok).toBe(ok);
    expect(check.detail).toMatch(detail);
    expect(check.hint).toMatch(hint);
    if (!ok) expect(check.hint).not.toBe('');
  });
});

test.each([
  ['neighbours', { neighbours: 3 }, true, /^at 10.0.0.1:7424; 3 of 5 other members are neighbours$/, /^$/],
  ['a mesh of its own', { members: 1, linked: 0 }, true, /0 of 1 other member is a neighbour/, /^$/],
  ['neighbours that are still on their way', { forMs: 5_000 }, true, /0 of 5/, /^$/],
  ['nobody reaches it though links are up', {}, false, /0 of 5/, /firewalls.*sessions/],
  ['turned off', { why: 'it was turned off' }, true, /does not gossip: it was turned off/, /^$/],
  ['its port is taken', { failure: { message: '10.0.0.1:7424 is taken by another program', hint: 'choose another' } }, false, /is taken/, /choose another.*sessions/],
])('gossip: %s', (_what, changes, ok, detail, hint) => {
  const check = gossipCheck({ addresses: ['10.0.0.1:7424'], neighbours: 0, members: 5, linked: 2, forMs: 60_000, why: undefined, failure: undefined, ...changes });
  expect(check).toEqual({ id: 'gossip', ok, detail: expect.stringMatching(detail), hint: expect.stringMatching(hint) });
});
