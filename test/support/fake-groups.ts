/** The part of a fake broker that shares agents and invokes several at once. */
import type { AcceptedGroup, BrokerApi, InvokeAllInput, InvokeInput, ShareInput } from '../../src/broker/api.ts';
import { BrokerError, notFound } from '../../src/domain/errors.ts';
import { groupIdOf } from '../../src/domain/ids.ts';
import type { GroupId } from '../../src/domain/ids.ts';
import type { Flight } from '../../src/domain/records.ts';
import type { ShareView } from '../../src/domain/sharing.ts';
import { FakeAudit } from './fake-audit.ts';
import { FakeOperator } from './fake-operator.ts';
import { desktop } from './fake-records.ts';

export abstract class FakeGroups extends FakeAudit {
  readonly operator = new FakeOperator();
  readonly tail: BrokerApi['tail'] = (input, signal) => this.operator.tail(input, signal);
  readonly report: BrokerApi['report'] = (sinceMs) => this.operator.report(sinceMs);
  readonly export: BrokerApi['export'] = (input, signal) => this.operator.export(input, signal);
  /** Where the next invocation goes. */
  target = '@fabric@laptop#main';
  /** What `--all` matches. */
  targets: readonly string[] = ['@fabric@laptop#main', '@fabric@desktop#main'];
  shares: ShareView[] = [];
  readonly shared: ShareInput[] = [];
  readonly unshared: ShareInput[] = [];
  readonly askedAll: InvokeAllInput[] = [];
  readonly #groups = new Map<GroupId, readonly Flight['id'][]>();

  abstract invoke(input: InvokeInput): Promise<{ flight: Flight; deduplicated: boolean }>;
  abstract findFlight(id: string): Promise<Flight>;

  invokeEach(inputs: readonly InvokeInput[]): ReturnType<ReturnType<BrokerApi['submission']>> {
    return inputs.map((input) => this.invoke(input));
  }

  submission(): ReturnType<BrokerApi['submission']> {
    return (inputs) => this.invokeEach(inputs);
  }

  async shareAgent(input: ShareInput): ReturnType<BrokerApi['shareAgent']> {
    this.check();
    this.shared.push(input);
    this.shares = input.parties.length === 0 ? [{ with: 'all' }] : input.parties.map((name): ShareView => (name === 'desktop' ? { with: 'node', name, nodeId: desktop } : { with: 'person', name }));
    return { address: '@fabric@laptop#main', shares: this.shares, changed: this.shared.length === 1 };
  }

  async unshareAgent(input: ShareInput): ReturnType<BrokerApi['unshareAgent']> {
    this.check();
    this.unshared.push(input);
    this.shares = [];
    return { address: '@fabric@laptop#main', shares: [], changed: true, ended: 2, running: 1 };
  }

  async invokeAll(input: InvokeAllInput): Promise<AcceptedGroup> {
    this.check();
    this.askedAll.push(input);
    const { targets } = this;
    if (targets.length > 5 && !input.confirmed && input.expected === undefined) {
      throw new BrokerError('invalid', `${targets.length} agents match`, { detail: { matches: String(targets.length) } });
    }
    const flights: Flight[] = [];
    const { key: _ofAll, ...each } = input;
    for (const target of targets) {
      this.target = target;
      flights.push((await this.invoke(each)).flight);
    }
    const groupId = groupIdOf('01J9Z6M3T4V8Q2X7K5B1C0GRP1');
    this.#groups.set(groupId, flights.map(({ id }) => id));
    return { groupId, flights, deduplicated: false };
  }

  async getGroup(id: string): ReturnType<BrokerApi['getGroup']> {
    this.check();
    const [groupId, flights] = [...this.#groups].find(([each]) => each.endsWith(id.replace('grp_', ''))) ?? [];
    if (groupId === undefined || flights === undefined) throw notFound(`no group ${id}`);
    return { groupId, flights: await Promise.all(flights.map((each) => this.findFlight(each))) };
  }
}
