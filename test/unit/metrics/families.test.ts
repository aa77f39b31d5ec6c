/** What is told, and what those who look at it ask for: the dashboard, the alerts, the README. */
import { describe, expect, test } from 'vitest';
import type { NodeVitals } from '../../../src/domain/vitals.ts';
import { exposition } from '../../../src/metrics/exposition.ts';
import { familiesOf } from '../../../src/metrics/families.ts';
import { dashboardQueries } from '../../support/dashboard.ts';
import { text } from '../repo/source.ts';
import { vitals } from './vitals-sample.ts';

const lines = (of: NodeVitals): string[] => exposition(familiesOf(of)).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
const value = (series: string, of = vitals): string | undefined => lines(of).find((line) => line.startsWith(`${series} `))?.slice(series.length + 1);

describe('what a node tells', () => {
  test('no series comes twice, also of two members with one name', () => {
    const series = lines(vitals).map((line) => line.slice(0, line.lastIndexOf(' ')));
    expect(series.filter((each, index) => series.indexOf(each) !== index)).toEqual([]);
    expect(series.filter((each) => each.startsWith('beckon_peer_up{peer="desktop"'))).toHaveLength(2);
  });

  test('every name keeps Prometheus’ conventions: base units, and _total for counters alone', () => {
    for (const { name, type, help } of familiesOf(vitals)) {
      expect(name).toMatch(/^(beckon|process|nodejs)_[a-z]+(_[a-z]+)*$/);
      expect(name.endsWith('_total')).toBe(type === 'counter');
      expect(name).not.toMatch(/_(ms|millis|minutes|hours|days|kb|mb|percent)(_|$)/);
      expect(help).toMatch(/^[A-Z0-9].*\.$/);
    }
  });

  test('labels are a closed list, and nothing of anybody’s work is in any', () => {
    const labels = new Set(familiesOf(vitals).flatMap(({ samples }) => samples.flatMap((each) => Object.keys(each.labels))));
    expect([...labels].toSorted()).toEqual(['agent', 'file', 'le', 'limit', 'mesh', 'node', 'node_id', 'outcome', 'peer', 'peer_id', 'runtime', 'state', 'verdict', 'version']);
    expect(exposition(familiesOf(vitals))).not.toMatch(/inv_|flt_|dlv_|secret/);
  });

  test('a peer that has left, and an address where nobody has shown who it is, count and have no series of their own', () => {
    expect([value('beckon_peers{state="left"}'), value('beckon_peers{state="unreachable"}'), value('beckon_peers{state="removed"}')]).toEqual(['1', '1', '0']);
    expect(lines(vitals).filter((line) => /peer="(old|192)/.test(line))).toEqual([]);
  });

  test('only a peer that is alive is up and has a round trip, in seconds', () => {
    const of = (name: string): string[] => lines(vitals).filter((line) => line.startsWith(`${name}{`)).map((line) => line.slice(line.lastIndexOf(' ') + 1));
    expect([of('beckon_peer_up'), of('beckon_peer_round_trip_seconds'), of('beckon_peer_last_heard_timestamp_seconds')]).toEqual([['1', '0'], ['0.012'], ['900']]);
  });

  test('a member of a large mesh that no link is needed with is up', () => {
    const resting = { ...vitals, peers: [{ ...vitals.peers[0]!, state: 'discovered', why: 'no link is needed: one is made when there is work' }] } as NodeVitals;
    expect(lines(resting).find((line) => line.startsWith('beckon_peer_up'))).toMatch(/ 1$/);
  });

  test('ages are of the oldest, and 0 when there is none', () => {
    expect([value('beckon_undelivered_oldest_age_seconds'), value('beckon_waiting_oldest_age_seconds'), value('beckon_queue_oldest_age_seconds'), value('beckon_queue_depth'), value('beckon_runs')]).toEqual(['1', '0', '5', '3', '3']);
  });

  test('what could not be read is missing, and that it is is told', () => {
    const partly = { ...vitals, troubles: undefined, disk: undefined, certificateEndsAtMs: undefined };
    expect([value('beckon_undelivered', partly), value('beckon_queue_depth', partly), value('beckon_store_filesystem_free_bytes', partly), value('beckon_certificate_expiry_timestamp_seconds', partly)]).toEqual([undefined, undefined, undefined, undefined]);
    expect([value('beckon_scrape_incomplete', partly), value('beckon_scrape_incomplete')]).toEqual(['1', '0']);
  });
});

describe('who looks at it', () => {
  const told = new Set(familiesOf(vitals).flatMap(({ name, type }) => (type === 'histogram' ? ['_bucket', '_sum', '_count'].map((suffix) => `${name}${suffix}`) : [name])));
  const alerts = text('docker/prometheus/alerts.yml');
  const namesIn = (query: string): string[] => query.match(/\b(beckon|process|nodejs)_[a-z_]+/g) ?? [];

  test.each([
    ['the dashboard', dashboardQueries().map(({ query }) => query)],
    ['the alerts', [...alerts.matchAll(/^ +expr: (.*)$/gm)].map(([, query = '']) => query)],
  ])('%s ask only for what is told', (_, queries) => {
    expect(queries.length).toBeGreaterThan(15);
    expect(queries.flatMap(namesIn).filter((name) => !told.has(name))).toEqual([]);
  });

  test('what the README says is told, is', () => {
    const named = text('README.md').match(/`(beckon|process|nodejs)_[a-z_]+/g)?.map((each) => each.slice(1)) ?? [];
    expect(named.length).toBeGreaterThan(10);
    expect(named.filter((name) => !told.has(name) && !told.has(`${name}_count`))).toEqual([]);
  });

  test('each alert is tried for firing, and explained in the README', () => {
    const names = [...alerts.matchAll(/- alert: (\w+)/g)].map(([, name = '']) => name);
    expect(names.length).toBeGreaterThan(10);
    expect(names.filter((name) => !text('docker/prometheus/alerts.test.yml').includes(`{alertname="${name}"}`))).toEqual([]);
    expect(names.filter((name) => !text('README.md').includes(`| \`${name}\` |`))).toEqual([]);
  });
});
