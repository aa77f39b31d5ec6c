import { execFile } from 'node:child_process';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, onTestFinished, test } from 'vitest';
import { accepted } from '../../../scripts/audit/accepted.ts';
import { judge, judgeSignatures, readAudit } from '../../../scripts/audit/verdict.ts';
import type { Acceptance, Advisory, Audited } from '../../../scripts/audit/verdict.ts';
import { environment } from '../../../scripts/run.ts';
import { sbomOf } from '../../../scripts/sbom.ts';
import type { Sbom } from '../../../scripts/sbom.ts';
import { root, text } from './source.ts';

const today = '2026-11-21';
const known = (severity: string): Advisory => ({ id: 'GHSA-xvch-5gv4-984h', name: 'minimist', severity, title: 'Prototype pollution', url: 'https://github.com/advisories/GHSA-xvch-5gv4-984h', range: '<1.2.6' });
const answered = (...advisories: readonly Advisory[]): Audited => ({ kind: 'answered', advisories });
const acceptance = (change: Partial<Acceptance> = {}): Acceptance => ({ id: 'GHSA-xvch-5gv4-984h', reason: 'its input is our own constants', until: '2027-01-31', ...change });

describe('an audit', () => {
  test.each([['high'], ['critical']])('stops at an advisory that is %s', (severity) => {
    expect(judge(answered(known(severity)), [], today).failures).toEqual([expect.stringMatching(/minimist <1\.2\.6: Prototype pollution/)]);
  });

  test.each([['low'], ['moderate']])('tells of one that is %s, and goes on', (severity) => {
    const { failures, notes } = judge(answered(known(severity)), [], today);
    expect([failures, notes[0]]).toEqual([[], expect.stringContaining('minimist')]);
  });

  test('goes on with one that is accepted, until that day, and tells of the reason', () => {
    expect(judge(answered(known('high')), [acceptance()], today)).toMatchObject({ failures: [], notes: [expect.stringContaining('accepted until 2027-01-31: its input is our own constants'), expect.any(String)] });
    expect(judge(answered(known('high')), [acceptance({ until: today })], today).failures).toEqual([]);
    expect(judge(answered(known('high')), [acceptance({ until: '2026-11-20' })], today).failures).toEqual([expect.stringContaining('it was accepted until 2026-11-20')]);
  });

  test.each<[string, Partial<Acceptance>, RegExp]>([
    ['without a reason', { reason: 'ok' }, /without a reason/],
    ['without an end', { until: 'never' }, /no day/],
    ['for years', { until: '2030-01-01' }, /more than 184 days/],
    ['of no advisory', { id: 'minimist' }, /no id of an advisory/],
  ])('takes no acceptance %s', (_what, change, why) => {
    expect(judge(answered(), [acceptance(change)], today).failures).toEqual([expect.stringMatching(why)]);
  });

  test('says which acceptance is not needed any more', () => {
    expect(judge(answered(), [acceptance()], today)).toMatchObject({ failures: [], notes: [expect.stringContaining('no dependency has it any more'), expect.any(String)] });
  });

  test.each([
    ['a registry that takes no such questions', '{"message":"405 Method Not Allowed - POST https://registry.npmjs.org/-/npm/v1/security/advisories/bulk","statusCode":405,"error":{"summary":"","detail":""}}', /405/],
    ['no network', '{"error":{"code":"ENOTFOUND","summary":"request to https://registry.npmjs.org failed, reason: getaddrinfo ENOTFOUND"}}', /ENOTFOUND/],
    ['an npm that says nothing', '', /nothing/],
  ])('with %s neither fails nor passes for clean', (_what, output, why) => {
    const { failures, notes } = judge(readAudit(output), [], today);
    expect([failures, notes]).toEqual([[], [expect.stringMatching(/^NOT AUDITED: /)]]);
    expect(notes[0]).toMatch(why);
  });

  test('stops at a signature that is not the registry’s, and says when none was checked', () => {
    expect(judgeSignatures('{"invalid":[{"name":"minimist","version":"1.2.5"}],"missing":[]}').failures).toEqual([expect.stringContaining('minimist@1.2.5')]);
    expect(judgeSignatures('{"invalid":[],"missing":[]}')).toEqual({ failures: [], notes: ['all signatures are the registry’s'] });
    expect(judgeSignatures('{"error":{"summary":"getaddrinfo ENOTFOUND tuf-repo-cdn.sigstore.dev"}}')).toMatchObject({ failures: [], notes: [expect.stringMatching(/^SIGNATURES NOT CHECKED/)] });
  });

  test('accepts today only what is well formed', () => {
    expect(judge(answered(), accepted, new Date().toISOString().slice(0, 10)).failures).toEqual([]);
  });

  test('with a registry that knows of one in a package that we publish, and of one for development alone, fails by the first', async () => {
    const advisories = (name: string, id: string): object => ({ [name]: [{ id: 1, url: `https://github.com/advisories/${id}`, title: 'Bad', severity: 'critical', vulnerable_versions: '*', cwe: [], cvss: { score: 9, vectorString: null } }] });
    const registry = createServer((request, response) => {
      request.resume().once('end', () => {
        const isAsked = request.method === 'POST';
        response.writeHead(isAsked ? 200 : 404, { 'content-type': 'application/json' });
        response.end(isAsked ? JSON.stringify({ ...advisories('picocolors', 'GHSA-aaaa-bbbb-cccc'), ...advisories('vitest', 'GHSA-dddd-eeee-ffff') }) : '{}');
      });
    });
    await new Promise<void>((resolve) => registry.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void registry.close());
    const { port } = registry.address() as AddressInfo;
    const env = { ...environment, npm_config_registry: `http://127.0.0.1:${port}/` };
    const ran = await promisify(execFile)(process.execPath, [join(root, 'scripts', 'audit.ts')], { env }).catch((error: unknown) => error as { readonly code: number; readonly stderr: string });
    expect(ran).toMatchObject({ code: 1, stderr: expect.stringContaining('picocolors') });
    expect(ran.stderr).toContain('GHSA-aaaa-bbbb-cccc');
    expect(ran.stderr).not.toContain('vitest');
  });
});

test('the bill of materials has each package that Beckon is published with, and no other', () => {
  const sbom = JSON.parse(sbomOf(text('package.json'), text('package-lock.json'))) as Sbom;
  expect([sbom.bomFormat, sbom.metadata.component.name]).toEqual(['CycloneDX', 'beckon']);
  const names = new Set(sbom.components.map(({ name }) => name));
  // Two of them are needed for development, too.
  for (const each of ['picocolors', 'protobufjs', 'better-sqlite3', ...Object.keys((JSON.parse(text('package.json')) as { dependencies: object }).dependencies)]) expect(names).toContain(each);
  for (const each of ['vitest', 'typescript', 'rolldown', 'oxlint', 'ts-proto']) expect(names).not.toContain(each);
  const dev = Object.values((JSON.parse(text('package-lock.json')) as { packages: Record<string, { dev?: boolean }> }).packages).filter((each) => each.dev !== true);
  expect(sbom.components.length).toBeGreaterThan(0.8 * dev.length);
});
