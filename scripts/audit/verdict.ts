// What is known against the dependencies that Beckon is published with, and whether that stops a build. Pure.

/** One that is accepted, by its id: GHSA-…. */
export interface Acceptance {
  readonly id: string;
  readonly reason: string;
  /** YYYY-MM-DD, the last day. */
  readonly until: string;
}

export interface Advisory {
  readonly id: string;
  /** The package that it is about. */
  readonly name: string;
  readonly severity: string;
  readonly title: string;
  readonly url: string;
  readonly range: string;
}

/** `unanswered`: nobody said what is known, so nothing is. */
export type Audited = { readonly kind: 'answered'; readonly advisories: readonly Advisory[] } | { readonly kind: 'unanswered'; readonly why: string };

const stopping: readonly string[] = ['high', 'critical'];
const longestDays = 184;
const dayMs = 86_400_000;

/** @param output what `npm audit --json` wrote (auditReportVersion 2) */
export function readAudit(output: string): Audited {
  const report = parsed(output);
  if (report === undefined) return { kind: 'unanswered', why: 'npm audit said nothing that can be read' };
  const { vulnerabilities, message, error } = report;
  if (!isRecord(vulnerabilities)) return { kind: 'unanswered', why: firstLine(message) ?? firstLine(isRecord(error) ? error['summary'] : undefined) ?? 'npm audit gave no report' };
  const found = new Map<string, Advisory>();
  for (const each of Object.values(vulnerabilities)) {
    const via = isRecord(each) && Array.isArray(each['via']) ? (each['via'] as unknown[]) : [];
    for (const cause of via) {
      // A text names another package of the report, which has the advisory.
      if (!isRecord(cause)) continue;
      const advisory = { name: text(cause['name']), severity: text(cause['severity']), title: text(cause['title']), url: text(cause['url']), range: text(cause['range']) };
      const id = /GHSA(-[0-9a-z]{4}){3}/.exec(advisory.url)?.[0] ?? advisory.url;
      found.set(`${id} ${advisory.name}`, { id, ...advisory });
    }
  }
  return { kind: 'answered', advisories: [...found.values()] };
}

export interface Verdict {
  /** Each of them stops the build. */
  readonly failures: readonly string[];
  readonly notes: readonly string[];
}

/** @param today YYYY-MM-DD */
export function judge(audited: Audited, accepted: readonly Acceptance[], today: string): Verdict {
  const failures = accepted.flatMap((each) => flawOf(each, today) ?? []);
  if (audited.kind === 'unanswered') return { failures, notes: [`NOT AUDITED: ${audited.why}; nothing is known of the dependencies, for or against`] };
  const notes: string[] = [];
  const { advisories } = audited;
  for (const { id, name, severity, title, url, range } of advisories) {
    const words = `${name} ${range}: ${title} (${severity}, ${url})`;
    const by = accepted.find((each) => each.id === id);
    if (!stopping.includes(severity)) notes.push(words);
    else if (by === undefined) failures.push(`${words}: update it, or accept it in scripts/audit/accepted.ts with a reason and an end`);
    else if (by.until < today) failures.push(`${words}: it was accepted until ${by.until}`);
    else notes.push(`${words}: accepted until ${by.until}: ${by.reason}`);
  }
  for (const { id } of accepted) if (!advisories.some((each) => each.id === id)) notes.push(`${id} is accepted, and no dependency has it any more: take it out of scripts/audit/accepted.ts`);
  notes.push(`${advisories.length} advisories, ${failures.length} that stop`);
  return { failures, notes };
}

function flawOf({ id, reason, until }: Acceptance, today: string): string | undefined {
  if (!/^GHSA(-[0-9a-z]{4}){3}$/.test(id)) return `${id} is accepted, and is no id of an advisory (GHSA-…)`;
  if (reason.trim().length < 20) return `${id} is accepted without a reason`;
  const atMs = Date.parse(until);
  if (!/^\d{4}-\d{2}-\d{2}$/.test(until) || Number.isNaN(atMs)) return `${id} is accepted until ${until}, which is no day`;
  if (atMs - Date.parse(today) > longestDays * dayMs) return `${id} is accepted until ${until}, which is more than ${longestDays} days from now`;
  return undefined;
}

/** @param output what `npm audit signatures --json` wrote */
export function judgeSignatures(output: string): Verdict {
  const report = parsed(output);
  const { invalid, missing, error } = report ?? {};
  if (!Array.isArray(invalid) || !Array.isArray(missing)) {
    return { failures: [], notes: [`SIGNATURES NOT CHECKED: ${firstLine(isRecord(error) ? error['summary'] : undefined) ?? 'npm audit signatures gave no report'}; what was installed is still what package-lock.json has the hashes of`] };
  }
  const named = (all: readonly unknown[]): string[] => all.map((each) => (isRecord(each) ? `${text(each['name'])}@${text(each['version'])}` : String(each)));
  return { failures: named(invalid).map((each) => `${each}: its signature is not the registry's`), notes: missing.length === 0 ? ['all signatures are the registry’s'] : [`without a signature: ${named(missing).join(', ')}`] };
}

function parsed(output: string): Readonly<Record<string, unknown>> | undefined {
  // npm 10 writes warnings in front of it to stdout, too.
  const start = output.indexOf('{');
  try {
    const report: unknown = JSON.parse(output.slice(Math.max(0, start)));
    return isRecord(report) ? report : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function firstLine(value: unknown): string | undefined {
  const line = text(value).split('\n', 1)[0] ?? '';
  return line === '' ? undefined : line;
}
