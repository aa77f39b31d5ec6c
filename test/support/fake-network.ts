/** The part of a fake broker that speaks of other nodes. */
import type { AgentsUpdate, BrokerApi, LeaveInput, NodeStatus, PeersUpdate } from '../../src/broker/api.ts';
import type { PolicyCheck, PolicyCheckInput, PolicyView } from '../../src/broker/policy-api.ts';
import type { AgentFilter } from '../../src/domain/agent-filter.ts';
import type { Check } from '../../src/domain/checks.ts';
import { notFound } from '../../src/domain/errors.ts';
import type { BrokerError } from '../../src/domain/errors.ts';
import { asMeshId } from '../../src/domain/ids.ts';
import { desktop, fakePeers, startMs } from './fake-records.ts';

export class FakeNetwork {
  /** The next call of any use case throws this. */
  failure: BrokerError | undefined;
  /** What a watcher is told after the list, and then ends, or not. */
  peerChanges: readonly PeersUpdate[] = [];
  watchForever = false;

  protected check(): void {
    const { failure } = this;
    this.failure = undefined;
    if (failure !== undefined) throw failure;
  }

  /** What a watcher of agents is told, and then ends, or not. */
  agentChanges: readonly AgentsUpdate[] = [];
  /** Of each list and each watch, in order. */
  readonly agentFilters: AgentFilter[] = [];

  /** What the watching of agents throws. */
  watchFailure: BrokerError | undefined;

  async *watchAgents(filter: AgentFilter, signal: AbortSignal): AsyncGenerator<AgentsUpdate> {
    this.agentFilters.push(filter);
    if (this.watchFailure !== undefined) throw this.watchFailure;
    yield* this.agentChanges;
    if (this.watchForever) await new Promise((resolve) => signal.addEventListener('abort', resolve));
  }

  async peers(): ReturnType<BrokerApi['peers']> {
    this.check();
    return fakePeers;
  }

  async *watchPeers(signal: AbortSignal): AsyncGenerator<PeersUpdate> {
    yield { type: 'all', atMs: startMs, peers: fakePeers };
    yield* this.peerChanges;
    if (this.watchForever) await new Promise((resolve) => signal.addEventListener('abort', resolve));
  }

  readonly renamed: string[] = [];
  readonly leaves: LeaveInput[] = [];
  /** What leaving would cost. */
  losses: readonly string[] = [];
  /** How many flights keep it from leaving. */
  stillRunning = 0;

  async renameNode(name: string): ReturnType<BrokerApi['renameNode']> {
    this.check();
    this.renamed.push(name);
    return { name, was: 'laptop' };
  }

  async leaveMesh(input: LeaveInput): ReturnType<BrokerApi['leaveMesh']> {
    this.check();
    this.leaves.push(input);
    const nothing = { left: false, running: this.stillRunning, meshName: 'home', told: [], untold: [], ended: 0, losses: [] };
    if (this.losses.length > 0 && !input.confirmed) return { ...nothing, losses: this.losses };
    return this.stillRunning > 0 && !input.force ? nothing : { ...nothing, left: true, running: 0, told: ['desktop'], untold: ['server'], ended: 2 };
  }

  /** From a mesh that it has not left since. */
  removed: NodeStatus['removed'];
  readonly removals: string[] = [];
  /** Removed before. */
  wasRemoved = false;

  async removeMember(node: string, by: string): ReturnType<BrokerApi['removeMember']> {
    this.check();
    this.removals.push(`${node} by ${by}`);
    const letIn = this.wasRemoved ? [] : ['server'];
    return { nodeId: desktop, name: 'desktop', by: 'ada on laptop', atMs: startMs, already: this.wasRemoved, told: this.wasRemoved ? [] : ['server'], untold: this.wasRemoved ? [] : ['attic'], letIn };
  }

  readonly checkedPolicies: PolicyCheckInput[] = [];
  policy: PolicyView = { owner: 'ada', file: { path: '/etc/policy.toml', exists: false, flaws: [], isStale: false }, rules: [], moreShares: 0, callers: [] };
  verdict: PolicyCheck = { isAllowed: false, address: '@fabric@laptop#main', verb: 'invoke', caller: 'bob (studio)', notes: [] };

  showPolicy(): Promise<PolicyView> {
    this.check();
    return Promise.resolve(this.policy);
  }

  checkPolicy(input: PolicyCheckInput): Promise<PolicyCheck> {
    this.check();
    this.checkedPolicies.push(input);
    return Promise.resolve(this.verdict);
  }

  readonly appointed: string[] = [];
  readonly recoveries: { readonly path: string; readonly passphrase: string; readonly move?: boolean }[] = [];

  async addIssuer(node: string): ReturnType<BrokerApi['addIssuer']> {
    this.check();
    this.appointed.push(node);
    return { nodeId: desktop, name: 'desktop', owner: 'ada', already: this.appointed.length > 1 };
  }

  async exportRecovery(input: Parameters<BrokerApi['exportRecovery']>[0]): ReturnType<BrokerApi['exportRecovery']> {
    this.check();
    this.recoveries.push(input);
    return { path: input.path, meshName: 'home', members: 3 };
  }

  async importRecovery(input: Parameters<BrokerApi['importRecovery']>[0]): ReturnType<BrokerApi['importRecovery']> {
    this.check();
    this.recoveries.push(input);
    return { meshId: asMeshId('a'.repeat(26)), meshName: 'home', nodeName: 'attic', owner: 'ada', members: 2, wasMember: false };
  }

  async ping(node: string): ReturnType<BrokerApi['ping']> {
    if (node !== 'desktop') throw notFound(`no node ${node}`);
    return { nodeId: desktop, name: 'desktop', address: '127.0.0.1:7424', rttMs: 0.5 };
  }

  checks: readonly Check[] = [{ id: 'database', ok: true, detail: 'sound', hint: '' }];

  async diagnose(): ReturnType<BrokerApi['diagnose']> {
    this.check();
    return this.checks;
  }
}
