import { describe, expect, test } from 'vitest';
import { createTailnet, isOfTailnet, parseTailscaleFlag, readFilter, tailnetSources } from '../../../src/app/tailnet.ts';
import { systemRandom } from '../../../src/app/system-random.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { silentLog } from '../../support/temp-store.ts';

const parts = { env: {}, clock: new FakeClock(), random: systemRandom, log: silentLog };

describe('--tailscale', () => {
  test('is auto, off, or the path of a socket, and auto when it is not given', () => {
    expect(parseTailscaleFlag(undefined)).toBe('auto');
    expect(parseTailscaleFlag('auto')).toBe('auto');
    expect(parseTailscaleFlag('off')).toBe('off');
    expect(parseTailscaleFlag('/run/ts.sock')).toEqual({ socket: '/run/ts.sock' });
    expect(() => parseTailscaleFlag('on')).toThrow(expect.objectContaining({ code: 'invalid', message: expect.stringContaining('"on"') as string }));
  });

  test('off means that nothing of Tailscale is looked at', () => {
    expect(createTailnet({ ...parts, flag: 'off' })).toBeUndefined();
    expect(tailnetSources(undefined, { ...parts, env: { BECKON_TAILSCALE_API_KEY: 'k' } })).toEqual([]);
  });
});

describe('what the environment says of the tailnet', () => {
  const sourcesWith = (env: Record<string, string>): readonly string[] => tailnetSources(createTailnet({ ...parts, flag: 'auto' }), { ...parts, env }).map(({ name }) => name);

  test('the HTTP API is asked only with credentials', () => {
    expect(sourcesWith({})).toEqual(['tailnet']);
    expect(sourcesWith({ BECKON_TAILSCALE_API_KEY: 'k' })).toEqual(['tailnet', 'api']);
    expect(sourcesWith({ BECKON_TAILSCALE_CLIENT_ID: 'i', BECKON_TAILSCALE_CLIENT_SECRET: 's', BECKON_TAILSCALE_API_URL: 'https://headscale.example.com/' })).toEqual(['tailnet', 'api']);
  });

  test('what is half given, or no URL, is named', () => {
    expect(() => sourcesWith({ BECKON_TAILSCALE_CLIENT_ID: 'i' })).toThrow(/belong together/);
    expect(() => sourcesWith({ BECKON_TAILSCALE_API_KEY: 'k', BECKON_TAILSCALE_API_URL: 'headscale' })).toThrow(/BECKON_TAILSCALE_API_URL/);
  });

  test('a filter lists tags, users and capabilities', () => {
    expect(readFilter('tag:broker, ann@example.com,cap:example.com/cap/beckon')).toEqual({ tags: ['tag:broker'], users: ['ann@example.com'], capabilities: ['example.com/cap/beckon'] });
    expect(readFilter(undefined)).toEqual({ tags: [], users: [], capabilities: [] });
  });
});

test('addresses of tailnets are told from others', () => {
  expect(['100.64.0.1', '100.127.255.254', 'fd7a:115c:a1e0::1', 'FD7A:115C:A1E0:ab12::3'].filter((each) => !isOfTailnet(each))).toEqual([]);
  expect(['100.63.0.1', '100.128.0.1', '10.64.0.1', 'fd7a:115c:a1e1::1', '1100.64.0.1', 'laptop'].filter(isOfTailnet)).toEqual([]);
});
