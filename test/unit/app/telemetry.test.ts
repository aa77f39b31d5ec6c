import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readEndpoint } from '../../../src/app/collector-address.ts';
import { planTraces, spanMarkIn } from '../../../src/app/telemetry.ts';
import type { Log } from '../../../src/domain/ports.ts';
import { silentLog } from '../../support/temp-store.ts';

const at = 'http://collector:4318';

test.each([
  ['nothing is said', {}, {}, undefined],
  ['the setting', { tracesEndpoint: `${at}/v1/traces` }, {}, { url: `${at}/v1/traces`, ratio: 1 }],
  ['the setting, before the variables of all programs', { tracesEndpoint: `${at}/v1/traces`, tracesRatio: 0.5 }, { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://other', OTEL_TRACES_SAMPLER: 'always_off' }, { url: `${at}/v1/traces`, ratio: 0.5 }],
  ['off, whatever other programs are told', { tracesEndpoint: 'off' }, { OTEL_EXPORTER_OTLP_ENDPOINT: at }, undefined],
  ['the variable of all signals', {}, { OTEL_EXPORTER_OTLP_ENDPOINT: `${at}/` }, { url: `${at}/v1/traces`, ratio: 1 }],
  ['that of traces, as it is', {}, { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://other', OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `${at}/mine` }, { url: `${at}/mine`, ratio: 1 }],
  ['a sampler', {}, { OTEL_EXPORTER_OTLP_ENDPOINT: at, OTEL_TRACES_SAMPLER: 'parentbased_traceidratio', OTEL_TRACES_SAMPLER_ARG: '0.25' }, { url: `${at}/v1/traces`, ratio: 0.25 }],
  ['none of ours, with those of others passed on', {}, { OTEL_EXPORTER_OTLP_ENDPOINT: at, OTEL_TRACES_SAMPLER: 'always_off' }, { url: `${at}/v1/traces`, ratio: 0 }],
  ['the SDK is off', {}, { OTEL_EXPORTER_OTLP_ENDPOINT: at, OTEL_SDK_DISABLED: 'true' }, undefined],
  ['no exporter', {}, { OTEL_EXPORTER_OTLP_ENDPOINT: at, OTEL_TRACES_EXPORTER: 'none' }, undefined],
])('where spans go: %s', (_what, config, env, plan) => {
  expect(planTraces(config, env, silentLog)).toEqual(plan);
});

test.each([
  [{ OTEL_EXPORTER_OTLP_ENDPOINT: at, OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' }, undefined],
  [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'collector:4318' }, undefined],
  [{ OTEL_EXPORTER_OTLP_ENDPOINT: at, OTEL_TRACES_SAMPLER: 'jaeger_remote' }, 1],
  [{ OTEL_EXPORTER_OTLP_ENDPOINT: at, OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: 'half' }, 1],
])('variables that can not be followed are said, and keep no node from starting: %j', (env, ratio) => {
  const lines: string[] = [];
  const log: Log = { ...silentLog, warn: (_fields, words) => lines.push(words) };
  expect(planTraces({}, env, log)?.ratio).toBe(ratio);
  expect(lines).toHaveLength(1);
});

test('an endpoint without a path has the usual one, and one with a password is refused', () => {
  expect([readEndpoint(at), readEndpoint(`${at}/x/y`)]).toEqual([`${at}/v1/traces`, `${at}/x/y`]);
  for (const bad of ['collector:4318', 'ftp://a', '', 'http://me:secret@collector']) expect(() => readEndpoint(bad)).toThrow(/is no address|holds a name or a password/);
});

test('how far spans were told is kept in a file, and what is no such file is none', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'beckon-mark-'));
  try {
    const mark = spanMarkIn(join(directory, 'beckon.traces'));
    expect(await mark.read()).toBeUndefined();
    await mark.write(42);
    expect(await mark.read()).toBe(42);
    writeFileSync(join(directory, 'beckon.traces'), 'nonsense');
    expect(await mark.read()).toBeUndefined();
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
