/** Prometheus' text format, version 0.0.4: https://prometheus.io/docs/instrumenting/exposition_formats/ */
import type { DistributionReading } from '../domain/measure.ts';

export const contentType = 'text/plain; version=0.0.4; charset=utf-8';

export type Labels = Readonly<Record<string, string>>;

export interface Family {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly samples: readonly Sample[];
}

interface Sample {
  /** Behind the family's name. */
  readonly suffix?: '_bucket' | '_sum' | '_count';
  readonly labels: Labels;
  readonly value: number;
}

/** One without labels. */
export function counter(name: string, help: string, value: number): Family {
  return { name, help, type: 'counter', samples: [{ labels: {}, value }] };
}

export function gauge(name: string, help: string, value: number): Family {
  return { name, help, type: 'gauge', samples: [{ labels: {}, value }] };
}

/** One sample a label of a list. */
export function by(type: 'counter' | 'gauge', name: string, help: string, label: string, values: Iterable<readonly [string, number]>): Family {
  return { name, help, type, samples: Array.from(values, ([each, value]) => ({ labels: { [label]: each }, value })) };
}

export function gauges(name: string, help: string, values: Iterable<readonly [Labels, number]>): Family {
  return { name, help, type: 'gauge', samples: Array.from(values, ([labels, value]) => ({ labels, value })) };
}

export function histogram(name: string, help: string, { buckets, count, sum }: DistributionReading): Family {
  const all = [...buckets.map((each) => ({ le: String(each.upTo), value: each.count })), { le: '+Inf', value: count }];
  const samples: Sample[] = all.map(({ le, value }) => ({ suffix: '_bucket', labels: { le }, value }));
  return { name, help, type: 'histogram', samples: [...samples, { suffix: '_sum', labels: {}, value: sum }, { suffix: '_count', labels: {}, value: count }] };
}

/** Families without a sample are left out: what is not known is not 0. */
export function exposition(families: readonly Family[]): string {
  return families.filter(({ samples }) => samples.length > 0).map(familyText).join('');
}

function familyText({ name, help, type, samples }: Family): string {
  const lines = [`# HELP ${name} ${help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')}`, `# TYPE ${name} ${type}`];
  for (const { suffix = '', labels, value } of samples) lines.push(`${name}${suffix}${labelsText(labels)} ${numberText(value)}`);
  return `${lines.join('\n')}\n`;
}

function labelsText(labels: Labels): string {
  const all = Object.entries(labels).map(([label, value]) => `${label}="${value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')}"`);
  return all.length === 0 ? '' : `{${all.join(',')}}`;
}

function numberText(value: number): string {
  if (Number.isFinite(value)) return String(value);
  return Number.isNaN(value) ? 'NaN' : value > 0 ? '+Inf' : '-Inf';
}
