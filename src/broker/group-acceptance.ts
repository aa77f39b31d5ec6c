/** Accepting one request for all instances that match: every one is checked before any is accepted, and all are accepted in one commit. */
import { BrokerError, conflict, invalid, notFound, toBrokerError } from '../domain/errors.ts';
import type { ErrorCandidate } from '../domain/errors.ts';
import type { Candidate } from '../domain/candidate.ts';
import { mostGroupBytes, mostTargets, unaskedTargets } from '../domain/group.ts';
import { groupIdOf, isGroupId, parseIdArgument } from '../domain/ids.ts';
import type { GroupId } from '../domain/ids.ts';
import { taskBytes } from '../domain/invocation.ts';
import type { Link } from '../domain/mesh-port.ts';
import type { UlidSource } from '../domain/ports.ts';
import type { Flight } from '../domain/records.ts';
import type { Store } from '../domain/store-port.ts';
import type { Acceptance } from './acceptance.ts';
import type { AcceptedGroup, InvokeAllInput } from './api.ts';
import type { Resolver } from './resolution.ts';

const mostShown = 20;

export interface GroupAcceptanceParts {
  readonly store: Store;
  readonly acceptance: Acceptance;
  readonly resolver: Resolver;
  readonly ulids: UlidSource;
}

interface Checked {
  readonly target: Candidate;
  readonly link?: Link;
  readonly error?: BrokerError;
}

export class GroupAcceptance {
  readonly #parts: GroupAcceptanceParts;

  constructor(parts: GroupAcceptanceParts) {
    this.#parts = parts;
  }

  invokeAll(input: InvokeAllInput): Promise<AcceptedGroup> {
    return this.#parts.acceptance.measured(() => this.#invokeAll(input));
  }

  async #invokeAll(input: InvokeAllInput): Promise<AcceptedGroup> {
    const { store, acceptance, resolver, ulids } = this.#parts;
    const payloadHash = acceptance.checked(input);
    if (input.session.mode === 'named') throw invalid('a session is of one agent: --session and --all exclude each other', 'use --continue to go on in the last session of each');
    const first = acceptance.known(input, payloadHash);
    if (first?.groupId !== undefined) return this.#again(first.groupId);
    const targets = await resolver.all(input.selector);
    checkNumber(targets, input);
    checkExpected(targets, input.expected);
    const checked = await Promise.all(targets.map((target) => this.#check(input, target)));
    refuseIfAny(checked);
    const groupId = groupIdOf(ulids.next());
    const members = checked.map(({ target, link }) => acceptance.planned(input, target, link, groupId));
    const answer = await acceptance.write((shared) => store.write.acceptAll({ ...shared, members: members.map(({ invocation, plan }) => ({ invocation, plan })) }), input, payloadHash, members.length);
    if ('known' in answer) return this.#again(answer.known);
    for (const [index, flight] of answer.flights.entries()) {
      const member = members[index];
      if (member !== undefined) acceptance.launched(input, flight, member);
    }
    return { groupId, flights: answer.flights, deduplicated: false, ...acceptance.notesOn(input) };
  }

  /** By its id or a suffix of one. @throws `not_found`, `ambiguous`, `invalid` */
  find(argument: string): { readonly groupId: GroupId; readonly flights: readonly Flight[] } {
    const { read } = this.#parts.store;
    const groupId = this.idOf(argument);
    const flights = read.group(groupId);
    if (flights.length === 0) throw notFound(`no group ${argument} is known here`, 'a group is known on the node where it was invoked; list flights: beckon flights');
    return { groupId, flights };
  }

  /** @throws as `find` does, but for a whole id that is not known */
  idOf(argument: string): GroupId {
    const id = parseIdArgument(argument);
    if (id.kind === 'id') {
      const whole = `${id.prefix}_${id.ulid}`;
      if (isGroupId(whole)) return whole;
      throw notFound(`${argument} is no group`, 'a group’s id starts with grp_');
    }
    if (id.kind === 'last') throw invalid('last is the newest flight, not a group', 'give the id of the group: grp_…');
    const [only, second] = this.#parts.store.read.groupsBySuffix(id.suffix);
    if (only === undefined) throw notFound(`no group known here ends in ${id.suffix}`, 'list flights: beckon flights');
    if (second !== undefined) throw new BrokerError('ambiguous', `several groups end in ${id.suffix}`, { hint: `give more of it: ${only} or ${second}` });
    return only;
  }

  #again(groupId: GroupId): AcceptedGroup {
    return { groupId, flights: this.#parts.store.read.group(groupId), deduplicated: true };
  }

  async #check(input: InvokeAllInput, target: Candidate): Promise<Checked> {
    try {
      const link = await this.#parts.acceptance.check(input, target);
      return { target, ...(link === undefined ? {} : { link }) };
    } catch (thrown) {
      return { target, error: toBrokerError(thrown) };
    }
  }
}

/** A request for so many that its person is to be asked says so in `detail.matches`. */
function checkNumber(targets: readonly Candidate[], { task, confirmed, expected }: InvokeAllInput): void {
  const candidates = targets.slice(0, mostShown).map(({ address, nodeState, lastSeenMs }): ErrorCandidate => ({ address, state: nodeState, lastSeenMs }));
  if (targets.length > mostTargets) throw invalid(`${targets.length} agents match: ${mostTargets} are called at once at most`, 'choose among them with --harness, --cap or --label');
  const bytes = taskBytes(task) * targets.length;
  if (bytes > mostGroupBytes) throw invalid(`the task for ${targets.length} agents has ${bytes} bytes, more than the ${mostGroupBytes} allowed`, 'put large input where the agents find it, and name it in the task');
  if (targets.length <= unaskedTargets || confirmed || expected !== undefined) return;
  throw new BrokerError('invalid', `${targets.length} agents match, and more than ${unaskedTargets} are called only by a clear yes`, {
    hint: 'if you mean all of them: --yes',
    candidates,
    detail: { matches: String(targets.length) },
  });
}

function checkExpected(targets: readonly Candidate[], expected: readonly string[] | undefined): void {
  if (expected === undefined) return;
  const wanted = new Set(expected);
  const other = targets.filter(({ address }) => !wanted.has(address));
  if (other.length === 0 && wanted.size === targets.length) return;
  throw conflict('other agents match now than those that were agreed to; nothing was accepted', 'look again: invoke it anew');
}

/** G11 for all of them: one that can't be accepted keeps back the rest. */
function refuseIfAny(checked: readonly Checked[]): void {
  const failed = checked.flatMap(({ target, error }) => (error === undefined ? [] : [{ target, error }]));
  const [first] = failed;
  if (first === undefined) return;
  const { code, message, hint } = first.error;
  const also = failed.length === 1 ? '' : `, nor ${failed.length - 1} more`;
  const named = message.includes(first.target.address) ? message : `${first.target.address}: ${message}`;
  throw new BrokerError(code, `nothing was accepted: of ${checked.length} agents one can't take it${also}: ${named}`, {
    hint,
    candidates: failed.slice(0, mostShown).map(({ target, error }) => ({ address: target.address, state: target.nodeState, lastSeenMs: target.lastSeenMs, why: error.message })),
  });
}
