/** Whether this node tells spans, and where to: by its own settings, else as the OpenTelemetry specification has it for every program. */
import { rename, writeFile } from 'node:fs/promises';
import { FlightTraces } from '../broker/flight-traces.ts';
import type { SpanWish } from '../broker/flight-traces.ts';
import { SpanExport } from '../broker/span-export.ts';
import type { SpanExportParts, SpanMark } from '../broker/span-export.ts';
import type { Log } from '../domain/ports.ts';
import { tracesPath } from './collector-address.ts';
import type { Config } from './config.ts';
import { readIfThere } from './durable-file.ts';
import type { Paths } from './paths.ts';
import { systemDigest } from './system-digest.ts';
import { systemRandom } from './system-random.ts';

type Environment = Readonly<Record<string, string | undefined>>;

export interface TracesPlan extends SpanWish {
  readonly url: string;
}

/** Undefined: off, which is the usual. What can't be understood in variables that are not ours is said in the log, and is not there. */
export function planTraces({ tracesEndpoint, tracesRatio }: Pick<Config, 'tracesEndpoint' | 'tracesRatio'>, env: Environment, log: Log): TracesPlan | undefined {
  const told = tracesEndpoint === 'off' ? undefined : (tracesEndpoint ?? standardEndpoint(env, log));
  if (told === undefined) return undefined;
  return { url: told, ratio: tracesRatio ?? standardRatio(env, log) };
}

function standardEndpoint(env: Environment, log: Log): string | undefined {
  const { OTEL_SDK_DISABLED: disabled = '', OTEL_TRACES_EXPORTER: exporter = '', OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: forTraces = '', OTEL_EXPORTER_OTLP_ENDPOINT: forAll = '' } = env;
  const text = forTraces === '' ? forAll : forTraces;
  if (text === '' || disabled.toLowerCase() === 'true' || exporter === 'none') return undefined;
  const { OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: ofTraces = '', OTEL_EXPORTER_OTLP_PROTOCOL: ofAll = '' } = env;
  const protocol = ofTraces === '' ? ofAll : ofTraces;
  const flaw = exporter !== '' && exporter !== 'otlp' ? 'OTEL_TRACES_EXPORTER is not otlp' : protocol !== '' && protocol !== 'http/protobuf' ? 'OTEL_EXPORTER_OTLP_PROTOCOL is not http/protobuf' : undefined;
  if (flaw !== undefined) return refused(log, flaw);
  if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol)) return refused(log, 'OTEL_EXPORTER_OTLP_ENDPOINT is no address that begins with http:// or https://');
  return forTraces === '' ? `${text.replace(/\/$/, '')}/${tracesPath}` : text;
}

/** Of the samplers of the specification those that decide by the trace's id: what others have decided stands in any case. */
function standardRatio({ OTEL_TRACES_SAMPLER: sampler = '', OTEL_TRACES_SAMPLER_ARG: argument = '' }: Environment, log: Log): number {
  switch (sampler.replace(/^parentbased_/, '')) {
    case '':
    case 'always_on':
      return 1;
    case 'always_off':
      return 0;
    case 'traceidratio': {
      const ratio = argument === '' ? 1 : Number(argument);
      if (ratio >= 0 && ratio <= 1) return ratio;
      refused(log, 'OTEL_TRACES_SAMPLER_ARG is no number from 0 to 1');
      return 1;
    }
    default:
      refused(log, 'OTEL_TRACES_SAMPLER is none that is known here');
      return 1;
  }
}

function refused(log: Log, why: string): undefined {
  log.warn({ why }, 'a variable of OpenTelemetry is not followed');
  return undefined;
}

export interface TelemetryParts extends Pick<SpanExportParts, 'store' | 'nodeId' | 'clock' | 'log'> {
  readonly plan: TracesPlan | undefined;
  readonly paths: Pick<Paths, 'tracesFile'>;
  readonly nodeName: string;
  readonly version: string;
}

/** The libraries are loaded only where spans are told. */
export async function openSpanExport({ plan, paths, nodeName, version, ...parts }: TelemetryParts): Promise<SpanExport | undefined> {
  if (plan === undefined) return undefined;
  const { createOtlpSink } = await import('../telemetry/otlp.ts');
  const sink = createOtlpSink({ url: plan.url, nodeId: parts.nodeId, nodeName, version, clock: parts.clock });
  return new SpanExport({ ...parts, sink, mark: spanMarkIn(paths.tracesFile), digest: systemDigest, random: systemRandom });
}

export function flightTraces(nodeId: SpanExportParts['nodeId'], wish: SpanWish | undefined): FlightTraces {
  return new FlightTraces({ nodeId, digest: systemDigest, wish });
}

/** In a file beside the database. One that can't be read is none: traces then begin with what comes. */
export function spanMarkIn(path: string): SpanMark {
  return {
    read: async () => {
      const text = (await readIfThere(path)) ?? '';
      return /^\d{1,15}\n$/.test(text) ? Number(text) : undefined;
    },
    write: async (fact) => {
      await writeFile(`${path}.new`, `${fact}\n`, { mode: 0o600 });
      await rename(`${path}.new`, path);
    },
  };
}
