/** The audit in words: a row on a line, and what a look at its chain means. */
import type { AuditFinding, AuditRow, Whence, Who } from './audit.ts';
import type { Check } from './checks.ts';

const counted = (count: number, one: string): string => `${count} ${one}${count === 1 ? '' : 's'}`;

/** `uid:501`, `bob on desktop (uid:501)`, `an agent at work: @fabric@laptop#main`. */
export function wordsOfWho(who: Who): string {
  switch (who.is) {
    case 'node':
      return 'this node';
    case 'user':
      return who.id;
    case 'flight':
      return `an agent at work: ${who.agent}`;
    case 'member':
      return `${who.owner} on ${who.name}${who.user === undefined ? '' : ` (${who.user})`}`;
    case 'applicant': {
      const name = who.name ?? who.nodeId ?? 'a machine';
      return `${name} (${['applicant', who.login].filter((each) => each !== undefined).join(', ')})`;
    }
    case 'stranger':
      return 'a stranger';
    case 'several':
      return 'several';
    default:
      return (who as { readonly is: string }).is;
  }
}

export function wordsOfWhence(from: Whence): string {
  return 'address' in from && from.address !== undefined ? `${from.via} ${from.address}` : from.via;
}

/** What the row says besides: `agent=@fabric@laptop#main with=all`, in the order of its kind. A node that is named needs no id here. */
export function wordsOfAbout({ about }: Pick<AuditRow, 'about'>): string {
  return Object.entries(about)
    .filter(([name]) => name !== 'nodeId' || about['name'] === undefined)
    .map(([name, value]) => `${name}=${/^[^\s"=]+$/.test(value) ? value : JSON.stringify(value)}`)
    .join(' ');
}

/** For `doctor`. */
export function auditCheck({ rows, from, flaws, noted, putBackMs }: AuditFinding): Check {
  const id = 'audit';
  const [first] = flaws;
  if (first !== undefined) {
    const more = flaws.length === 1 ? '' : `; and ${flaws.length - 1} more`;
    return { id, ok: false, detail: `the audit is not as the node wrote it: ${first.why}${more}`, hint: 'keep a copy of the store as it is, find out who can write to it; all that is wrong: beckon audit --check; once you know: beckon audit --note' };
  }
  const looked = from <= 1 ? counted(rows, 'row') : `the newest ${rows - from + 1} of ${counted(rows, 'row')} (all of them: beckon audit --check)`;
  const backs = putBackMs.length === 0 ? '' : `; the store was put back to an older state ${putBackMs.length === 1 ? 'once' : `${putBackMs.length} times`}, last on ${new Date(Math.max(...putBackMs)).toISOString()}: what was recorded since that state is not in it`;
  const seen = noted.length === 0 ? '' : `; ${counted(noted.length, 'flaw')} that a person took note of: ${noted[0]?.why ?? ''}`;
  return { id, ok: true, detail: `${looked}, each following from the one before it${backs}${seen}`, hint: '' };
}
