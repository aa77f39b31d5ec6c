import { describe, expect, test } from 'vitest';
import type { Launch } from '../../../src/domain/supervision-port.ts';
import { stateDirOfUnit, systemdUnit } from '../../../src/supervisor/systemd-unit.ts';

const launch: Launch = {
  argv: ['/usr/bin/node', '/opt/beckon/dist/main.js', 'up', '--drain', '60s'],
  environment: { BECKON_HOME: '/srv/be ckon' },
  stateDir: '/srv/be ckon/100%',
  logDir: '/srv/be ckon/logs',
  user: 'ada',
};
const place = { scope: 'user', environmentPath: '/srv/be ckon/service.env' } as const;
const lines = (scope: 'user' | 'system'): string[] => systemdUnit(launch, { ...place, scope }).split('\n');

describe('the unit of a node', () => {
  test('of a user: its default target, and no order on what is not there', () => {
    expect(lines('user')).toEqual(expect.arrayContaining(['WantedBy=default.target', 'EnvironmentFile=/srv/be ckon/service.env', 'Environment="BECKON_HOME=/srv/be ckon"', 'ExecStart=/usr/bin/node /opt/beckon/dist/main.js up --drain 60s']));
    expect(lines('user').filter((line) => /^(User|After|Wants)=/.test(line))).toEqual([]);
  });

  test('of the machine: as that user, after network and tailscaled', () => {
    expect(lines('system')).toEqual(expect.arrayContaining(['User=ada', 'After=network-online.target nss-user-lookup.target tailscaled.service', 'Wants=network-online.target', 'WantedBy=multi-user.target']));
  });

  test('the node has more time to stop than it gives to what runs', () => {
    const [, drain] = /--drain (\d+)s/.exec(systemdUnit(launch, place)) ?? [];
    const [, stop] = /^TimeoutStopSec=(\d+)s$/m.exec(systemdUnit(launch, place)) ?? [];
    expect(Number(stop)).toBeGreaterThanOrEqual(Number(drain) + 15);
  });

  test('says whose it is, in any directory; a unit of others does not', () => {
    expect(stateDirOfUnit(systemdUnit(launch, place))).toBe('/srv/be ckon/100%');
    expect(stateDirOfUnit('[Unit]\nDescription=x\n[Service]\nStateDirectory=beckon\nExecStart=/bin/true\n')).toBeUndefined();
  });
});
