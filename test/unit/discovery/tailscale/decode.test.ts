import { describe, expect, test } from 'vitest';
import { parseJson } from '../../../../src/discovery/tailscale/json.ts';
import { decodeNotify } from '../../../../src/discovery/tailscale/notify.ts';
import { decodeStatus } from '../../../../src/discovery/tailscale/status.ts';
import { decodeWhoIs } from '../../../../src/discovery/tailscale/whois.ts';
import { bodyOf, recorded, recordedBus } from '../../../support/recorded-tailscaled.ts';

describe('answers of tailscaled', () => {
  test('integers that a double can not hold keep all their digits', () => {
    expect(parseJson('{"a":9007199254740993,"b":[-12345678901234567890],"c":1234567890123456,"d":1.2345678901234567}')).toEqual({
      a: '9007199254740993', b: ['-12345678901234567890'], c: 1234567890123456, d: 1.2345678901234567,
    });
  });

  test('two users whose ids differ in the last digits only are two users', () => {
    const peer = (id: string, userId: string): string => `"nodekey:${id}":{"ID":"${id}","UserID":${userId},"DNSName":"${id}.tn.test.","TailscaleIPs":["100.64.0.${id}"],"Online":true}`;
    const status = decodeStatus(
      `{"BackendState":"Running","MagicDNSSuffix":"tn.test","Peer":{${peer('2', '9007199254740993')},${peer('3', '9007199254740992')}},
        "User":{"9007199254740993":{"ID":9007199254740993,"LoginName":"ann"},"9007199254740992":{"ID":9007199254740992,"LoginName":"bob"}}}`,
    );
    expect(status.peers.map(({ id, user }) => [id, user])).toEqual([['2', 'ann'], ['3', 'bob']]);
  });

  test('unknown keys, missing keys and null lists are no fault; a peer that is one is left out alone', () => {
    const status = decodeStatus('{"BackendState":"Thinking","Peer":{"a":{"ID":"1","TailscaleIPs":null,"Tags":null,"New":{"x":1}},"b":{"ID":7},"c":"what"},"Self":null,"Brand":"new"}');
    expect(status).toMatchObject({ state: 'unknown', isUserspace: false, addresses: [], dnsSuffix: '' });
    expect(status.peers).toEqual([{ id: '1', hostName: '', dnsName: '', os: '', tags: [], addresses: [], isOnline: false, isExpired: false, isShared: false, isExit: false }]);
  });

  test('a whole answer that is not what it should be is named, with the field', () => {
    expect(() => decodeStatus('[]')).toThrow(expect.objectContaining({ code: 'unavailable' }));
    expect(() => decodeStatus('{"BackendState":5}')).toThrow(expect.objectContaining({ message: expect.stringContaining('BackendState') as string }));
    expect(() => decodeStatus('{')).toThrow(expect.objectContaining({ message: 'the status of tailscaled is not JSON' }));
    expect(() => decodeWhoIs('{"Node":{"StableID":""}}', 'tn.test')).toThrow(expect.objectContaining({ message: expect.stringContaining('StableID') as string }));
  });

  test('machines of other tailnets, sharers, exits and expired ones are told apart', () => {
    const peers = [
      { ID: '1', DNSName: 'a.tn.test.' },
      { ID: '2', DNSName: 'b.other.ts.net.' },
      { ID: '3', DNSName: 'c.tn.test.', ShareeNode: true },
      { ID: '4', DNSName: 'd.tn.test.', AltSharerUserID: 5 },
      { ID: '5', DNSName: 'se-got.mullvad.ts.net.', ExitNodeOption: true },
      { ID: '6', DNSName: 'e.tn.test.', Expired: true, AltSharerUserID: 0 },
    ];
    const status = decodeStatus(JSON.stringify({ BackendState: 'Running', MagicDNSSuffix: 'tn.test', Peer: Object.fromEntries(peers.map((each) => [each.ID, each])) }));
    expect(status.peers.map(({ id, isShared, isExit, isExpired }) => [id, isShared, isExit, isExpired])).toEqual([
      ['1', false, false, false], ['2', true, false, false], ['3', true, false, false], ['4', true, false, false], ['5', true, true, false], ['6', false, false, true],
    ]);
  });

  test('the recorded whois of the own machine and of one behind a router', () => {
    const body = bodyOf(recorded('whois-self'));
    expect(decodeWhoIs(body, 'tn.test')).toMatchObject({ id: '1', user: 'ann', isRouter: false });
    const routed = body.replace('"StableID"', '"PrimaryRoutes":["10.0.0.0/8"],"StableID"');
    expect(decodeWhoIs(routed, 'tn.test').isRouter).toBe(true);
    expect(decodeWhoIs(body, 'other.ts.net').isShared).toBe(true);
    expect(decodeWhoIs(body, 'tn.test').isShared).toBe(false);
    expect(decodeWhoIs(body.replace('"StableID"', '"Sharer":9007199254740993,"StableID"'), 'tn.test').isShared).toBe(true);
    expect(decodeWhoIs(body.replace('"OS":', '"ShareeNode":true,"OS":'), 'tn.test').isShared).toBe(true);
  });

  test('of the recorded notices those count that change state, this machine or a peer', () => {
    const notices = recordedBus('bus-4098.ndjson').map(decodeNotify);
    const counted = notices.filter(({ isChange }) => isChange).length;
    expect(counted).toBeGreaterThan(15);
    expect(counted).toBeLessThan(notices.length);
    expect(recordedBus('bus-2-no-peer-events.ndjson').map(decodeNotify).slice(1).every(({ isChange }) => !isChange)).toBe(true);
    expect(decodeNotify('{"ErrMessage":"slow"}')).toEqual({ isChange: false, error: 'slow' });
  });
});
