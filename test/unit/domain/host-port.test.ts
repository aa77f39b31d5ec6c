import fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatHostPort, hostOf, parseHostPort } from '../../../src/domain/host-port.ts';

test('what is formatted reads as the same', () => {
  const host = fc.oneof(fc.domain(), fc.ipV4(), fc.ipV6());
  fc.assert(
    fc.property(host, fc.integer({ min: 0, max: 65_535 }), (name, port) => {
      expect(parseHostPort(formatHostPort({ host: name, port }))).toEqual({ host: name, port });
    }),
  );
});

test('a default port stands in for one that is missing', () => {
  expect(parseHostPort('laptop', 7423)).toEqual({ host: 'laptop', port: 7423 });
  expect(parseHostPort('[::1]', 7423)).toEqual({ host: '::1', port: 7423 });
  expect(parseHostPort('laptop:1', 7423)).toEqual({ host: 'laptop', port: 1 });
});

test.each([
  ['laptop', /the port is missing/],
  ['laptop:', /a port is a number/],
  ['laptop:65536', /a port is a number/],
  ['laptop:-1', /a port is a number/],
  ['laptop:1e3', /a port is a number/],
  [':7423', /no host name or address/],
  ['', /no host name or address/],
  ['lap top:1', /no host name or address/],
  ['http://laptop:1', /more than one colon/],
  ['::1', /put an IPv6 address in brackets/],
  ['[laptop]:1', /no host name or address/],
  ['[]:1', /no host name or address/],
  ['a..b:1', /no host name or address/],
  [`${'a'.repeat(64)}:1`, /no host name or address/],
])('%j is invalid, with the reason', (text, why) => {
  expect(() => parseHostPort(text)).toThrow(expect.objectContaining({ code: 'invalid', message: expect.stringMatching(why) as string }) as Error);
});

test.each([['192.0.2.1:7423', '192.0.2.1'], ['[fd7a::1]:1', '[fd7a::1]'], ['laptop', 'laptop'], ['[fd7a::1]', '[fd7a::1]']])('what stands before the port of %s is %s', (address, host) => {
  expect(hostOf(address)).toBe(host);
});
