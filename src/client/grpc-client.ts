/** The client on grpc-js: one channel to the control socket. */
import { credentials, status as grpcStatus } from '@grpc/grpc-js';
import type { ClientDuplexStream, ClientOptions, ClientReadableStream } from '@grpc/grpc-js';
import { BrokerError } from '../domain/errors.ts';
import { asMeshId, asNodeId } from '../domain/ids.ts';
import type { OutputStream } from '../domain/flight-event.ts';
import type { Page } from '../domain/records.ts';
import { ControlServiceClient, ControlServiceService as calls } from '../gen/beckon/v1/control.ts';
import type { CallsRequest, CallsResponse, InvokeResponse, SubmitRequest, SubmitResponse } from '../gen/beckon/v1/invoke.ts';
import type { ServeRequest, ServeResponse } from '../gen/beckon/v1/serving.ts';
import { deliveryState, flightState, outputStream, worktreeState } from '../rpc/enums.ts';
import { callUnary, readStream } from '../rpc/call.ts';
import { showFlightToken } from '../rpc/flight-token.ts';
import { bytes, present, required } from '../rpc/fields.ts';
import { decodeDelivery, decodeFlight } from '../rpc/records.ts';
import { isServiceError } from '../rpc/status.ts';
import { announcing } from '../rpc/task-bytes.ts';
import { encodeReply } from '../rpc/work.ts';
import { decodeAccepted, decodeAgent, decodeAgentsUpdates, decodeApplicant, decodeAttempt, decodeBackup, decodeDetail, decodeDiffPart, decodeGroup, decodeMember, decodePeer, decodePeersUpdate, decodeResolved, decodeRule, decodeSettled, decodeShared, decodeStatus, decodeUpdate, decodeWaitingList, readBackup } from './answers.ts';
import { decodeAuditRow, decodeFinding } from './audit.ts';
import { decodeConfig } from './config.ts';
import { decodeAddedIssuer, decodeImportedRecovery } from './issuers.ts';
import { decodeExportLine, decodeReport, decodeTailUpdate, decodeTrace } from './operator.ts';
import { decodePolicy, decodePolicyCheck } from './policy.ts';
import { decodeScan } from './projects.ts';
import { encodeAgentFilter, encodeInvoke, encodeSelector, encodeSpec } from './requests.ts';
import type { AgentFilter, FlightUpdate, InvokeAllRequest, InvokeRequest, NodeClient, StreamOptions } from './types.ts';

const maxMessageBytes = 20 * 1024 * 1024;

const readyMs = 2_000;
/** What a node takes at most to answer from its own store. */
const quickMs = 60_000;
/** Answers that need another machine. */
const remoteMs = 120_000;
/** Another machine compares and removes a large worktree. */
const settleMs = 720_000;
/** Copying and checking a few gigabytes on a slow disk. */
const backupMs = 3_600_000;

interface UnaryCall<Request, Response> {
  readonly path: string;
  readonly requestSerialize: (request: Request) => Buffer;
  readonly responseDeserialize: (content: Buffer) => Response;
}

export class GrpcNodeClient implements NodeClient {
  readonly #client: ControlServiceClient;
  readonly #socketPath: string;
  readonly #now: (() => number) | undefined;

  /**
   * @param now the wall clock, ms; without it no call has a deadline
   * @param channel of another client, to be shared
   */
  constructor(socketPath: string, now: (() => number) | undefined, flightToken: string | undefined, channel?: ClientOptions['channelOverride']) {
    this.#socketPath = socketPath;
    this.#now = now;
    this.#client = new ControlServiceClient(`unix:${socketPath}`, credentials.createInsecure(), {
      'grpc.max_receive_message_length': maxMessageBytes,
      'grpc.max_send_message_length': maxMessageBytes,
      'grpc.enable_retries': 0,
      'grpc.enable_http_proxy': 0,
      // Not the connection of another client in this process, which may be waiting to try again. A local socket costs nothing to try.
      'grpc.use_local_subchannel_pool': 1,
      'grpc.initial_reconnect_backoff_ms': 100,
      'grpc.max_reconnect_backoff_ms': 1000,
      ...(channel === undefined ? {} : { channelOverride: channel }),
      ...(flightToken === undefined ? {} : { interceptors: [showFlightToken(flightToken)] }),
    });
  }

  /** As a process of that flight, over the same connection: this one closes it. */
  inFlight(flightToken: string): GrpcNodeClient {
    return new GrpcNodeClient(this.#socketPath, this.#now, flightToken, this.#client.getChannel() as NonNullable<ClientOptions['channelOverride']>);
  }

  /** What it throws is for `asOurs` to judge. */
  openServe(): ClientDuplexStream<ServeRequest, ServeResponse> {
    return this.#client.serve();
  }

  /** Resolves when there is a connection. @throws BrokerError `unavailable` when there is none for two seconds */
  ready(): Promise<void> {
    const deadline = this.#now === undefined ? Number.POSITIVE_INFINITY : this.#now() + readyMs;
    return new Promise((resolve, reject) => {
      this.#client.waitForReady(deadline, (error) => (error === undefined || error === null ? resolve() : reject(new BrokerError('unavailable', 'the node here can’t be reached', { hint: 'look: beckon status', cause: error }))));
    });
  }

  /** What it throws is for `asOurs` to judge. */
  openSubmit(): ClientDuplexStream<SubmitRequest, SubmitResponse> {
    return this.#client.submit();
  }

  /** What it throws is for `asOurs` to judge. */
  openCalls(): ClientDuplexStream<CallsRequest, CallsResponse> {
    return this.#client.calls();
  }

  readonly status: NodeClient['status'] = async () => decodeStatus(await this.#ask(calls.getStatus, {}));

  async shutdown(force: boolean): ReturnType<NodeClient['shutdown']> {
    const { pid, running } = await this.#ask(calls.shutdown, { force });
    return { pid, running };
  }

  async addAgent(spec: Parameters<NodeClient['addAgent']>[0]): ReturnType<NodeClient['addAgent']> {
    const { agent, added } = await this.#ask(calls.addAgent, encodeSpec(spec));
    return { agent: decodeAgent(agent), added };
  }

  async removeAgent(address: string): ReturnType<NodeClient['removeAgent']> {
    const { heldFailed, ...rest } = await this.#ask(calls.removeAgent, { address });
    return { address: rest.address, heldFailed };
  }

  async shareAgent({ address, parties }: Parameters<NodeClient['shareAgent']>[0]): ReturnType<NodeClient['shareAgent']> {
    return decodeShared(await this.#ask(calls.shareAgent, { address, with: [...parties] }));
  }

  async unshareAgent({ address, parties }: Parameters<NodeClient['unshareAgent']>[0]): ReturnType<NodeClient['unshareAgent']> {
    const { ended, running, ...rest } = await this.#ask(calls.unshareAgent, { address, with: [...parties] }, remoteMs);
    return { ...decodeShared(rest), ended, running };
  }

  async getAgent(address: string): ReturnType<NodeClient['getAgent']> {
    return decodeAgent((await this.#ask(calls.getAgent, { address })).agent);
  }

  async listAgents(...[filter, page]: Parameters<NodeClient['listAgents']>): ReturnType<NodeClient['listAgents']> {
    const request = { node: filter.node ?? '', limit: page.limit, after: page.after ?? '', filter: encodeAgentFilter(filter) };
    const { agents, next } = await this.#ask(calls.listAgents, request);
    return pageOf(agents.map(decodeAgent), next);
  }

  async *watchAgents(filter: AgentFilter, { signal }: StreamOptions = {}): ReturnType<NodeClient['watchAgents']> {
    yield* decodeAgentsUpdates(stream(this.#client.watchAgents({ filter: encodeAgentFilter(filter) }), signal));
  }

  async resolve(selector: Parameters<NodeClient['resolve']>[0]): ReturnType<NodeClient['resolve']> {
    return decodeResolved(await this.#ask(calls.resolve, { selector: encodeSelector(selector) }, remoteMs));
  }

  async scanProjects({ directories, cwd, path }: Parameters<NodeClient['scanProjects']>[0]): ReturnType<NodeClient['scanProjects']> {
    return decodeScan(await this.#ask(calls.scanProjects, { directories: [...directories], cwd, path }, remoteMs));
  }

  async approveProjects({ approvals, path }: Parameters<NodeClient['approveProjects']>[0]): ReturnType<NodeClient['approveProjects']> {
    const { added, removed } = await this.#ask(calls.approveProjects, { approvals: approvals.map((each) => ({ ...each })), path }, remoteMs);
    return { added, removed };
  }

  async forgetProject(root: string): ReturnType<NodeClient['forgetProject']> {
    const { root: forgotten, removed, heldFailed } = await this.#ask(calls.forgetProject, { root });
    return { root: forgotten, removed, heldFailed };
  }

  async *invoke(request: InvokeRequest, { signal }: StreamOptions = {}): ReturnType<NodeClient['invoke']> {
    const call = this.#client.invoke(encodeInvoke(request), announcing(request.task));
    yield* updatesIn(stream(call, signal));
  }

  async invokeAll(request: InvokeAllRequest): ReturnType<NodeClient['invokeAll']> {
    const { confirmed, expected = [] } = request;
    const { groupId, flights, deduplicated, notes } = await this.#ask(calls.invokeAll, { invoke: encodeInvoke(request), confirmed, expected: [...expected] }, remoteMs);
    return { ...decodeGroup(groupId, flights), deduplicated, ...(notes.length === 0 ? {} : { notes }) };
  }

  async getGroup(id: string): ReturnType<NodeClient['getGroup']> {
    const { groupId, flights } = await this.#ask(calls.getGroup, { id });
    return decodeGroup(groupId, flights);
  }

  async *follow(id: string, options: StreamOptions & { readonly afterSeq?: number } = {}): ReturnType<NodeClient['follow']> {
    const call = this.#client.followFlight({ id, afterSeq: options.afterSeq ?? 0, takesMore: true });
    yield* updatesIn(stream(call, options.signal));
  }

  async *output(id: string, which: OutputStream, { signal }: StreamOptions = {}): ReturnType<NodeClient['output']> {
    const call = this.#client.readOutput({ id, stream: outputStream.toWire(which) });
    for await (const { content } of stream(call, signal)) yield bytes(content);
  }

  async listFlights(...[filter, page]: Parameters<NodeClient['listFlights']>): ReturnType<NodeClient['listFlights']> {
    const { flights, next } = await this.#ask(calls.listFlights,
      {
        state: flightState.toWire(filter.state),
        agent: filter.agent ?? '',
        node: filter.node ?? '',
        limit: page.limit,
        after: page.after ?? '',
        group: filter.group ?? '',
      },
      remoteMs,
    );
    return pageOf(flights.map(decodeFlight), next);
  }

  async getFlight(id: string): ReturnType<NodeClient['getFlight']> {
    return decodeDetail(await this.#ask(calls.getFlight, { id }));
  }

  async cancelFlight(id: string, waitMs: number): ReturnType<NodeClient['cancelFlight']> {
    const { flight, confirmed } = await this.#ask(calls.cancelFlight, { id, waitMs }, waitMs + quickMs);
    return { flight: decodeFlight(required(flight, 'flight')), confirmed };
  }

  async replyToFlight({ id, request, reply, waitMs }: Parameters<NodeClient['replyToFlight']>[0]): ReturnType<NodeClient['replyToFlight']> {
    const asked = { id, request: request ?? '', ...encodeReply(reply), waitMs };
    const answer = await this.#ask(calls.replyToFlight, asked, waitMs + quickMs);
    return { flight: decodeFlight(required(answer.flight, 'flight')), request: answer.request, confirmed: answer.confirmed };
  }

  async *readDiff(id: string, { signal }: StreamOptions = {}): ReturnType<NodeClient['readDiff']> {
    for await (const part of stream(this.#client.readDiff({ id }), signal)) yield decodeDiffPart(part);
  }

  async settleWorktree({ id, verb, tree = '' }: Parameters<NodeClient['settleWorktree']>[0]): ReturnType<NodeClient['settleWorktree']> {
    return decodeSettled(await this.#ask(calls.settleWorktree, { id, state: worktreeState.toWire(verb), tree }, settleMs));
  }

  async listWaiting(): ReturnType<NodeClient['listWaiting']> {
    return decodeWaitingList(await this.#ask(calls.listWaiting, {}, remoteMs));
  }

  async redriveDelivery(idArgument: string, confirmed: boolean): ReturnType<NodeClient['redriveDelivery']> {
    const { atMs, ...accepted } = await this.#ask(calls.redriveDelivery, { id: idArgument, confirmed }, remoteMs);
    return decodeAccepted(atMs, { ...accepted, notes: [] });
  }

  async listDeliveries(...[filter, page]: Parameters<NodeClient['listDeliveries']>): ReturnType<NodeClient['listDeliveries']> {
    const { deliveries, next } = await this.#ask(calls.listDeliveries,
      {
        node: filter.node ?? '',
        status: deliveryState.toWire(filter.status),
        invocation: filter.invocation ?? filter.invocationId ?? '',
        sinceMs: filter.sinceMs,
        limit: page.limit,
        after: page.after ?? '',
      },
      remoteMs,
    );
    return pageOf(deliveries.map(decodeDelivery), next);
  }

  async getDelivery(idArgument: string): ReturnType<NodeClient['getDelivery']> {
    const { delivery, attempts } = await this.#ask(calls.getDelivery, { id: idArgument });
    const decoded = decodeDelivery(required(delivery, 'delivery'));
    return { delivery: decoded, attempts: attempts.map((attempt) => decodeAttempt(decoded.id, attempt)) };
  }

  async trace(invocation: string): ReturnType<NodeClient['trace']> {
    return decodeTrace(await this.#ask(calls.trace, { invocation }, remoteMs));
  }

  async *tail({ node = '', sinceMs, noFollow }: Parameters<NodeClient['tail']>[0], { signal }: StreamOptions = {}): ReturnType<NodeClient['tail']> {
    for await (const message of stream(this.#client.tail({ node, sinceMs, noFollow }), signal)) {
      const update = decodeTailUpdate(message);
      if (update !== undefined) yield update;
    }
  }

  readonly report: NodeClient['report'] = async (sinceMs) => decodeReport(await this.#ask(calls.report, { sinceMs }, remoteMs));

  async *export({ sinceMs, untilMs }: Parameters<NodeClient['export']>[0], { signal }: StreamOptions = {}): ReturnType<NodeClient['export']> {
    for await (const message of stream(this.#client.export({ sinceMs, untilMs }), signal)) yield decodeExportLine(message);
  }

  readonly peers: NodeClient['peers'] = async () => (await this.#ask(calls.listPeers, {})).peers.map(decodePeer);

  async *watchPeers({ signal }: StreamOptions = {}): ReturnType<NodeClient['watchPeers']> {
    for await (const update of stream(this.#client.watchPeers({}), signal)) yield decodePeersUpdate(update);
  }

  async ping(node: string): ReturnType<NodeClient['ping']> {
    const { nodeId, name, address, rttMs } = await this.#ask(calls.ping, { node }, remoteMs);
    return { nodeId: asNodeId(nodeId), name, address, rttMs };
  }

  readonly showConfig: NodeClient['showConfig'] = async () => decodeConfig(await this.#ask(calls.showConfig, {}));
  readonly diagnose: NodeClient['diagnose'] = async () => (await this.#ask(calls.diagnose, {}, remoteMs)).checks;
  readonly checkAudit: NodeClient['checkAudit'] = async (input) => decodeFinding(await this.#ask(calls.checkAudit, input, backupMs));
  readonly noteAudit: NodeClient['noteAudit'] = async () => (await this.#ask(calls.noteAudit, {}, remoteMs)).flaws;

  async listAudit(...[{ sinceMs }, { limit, after = '' }]: Parameters<NodeClient['listAudit']>): ReturnType<NodeClient['listAudit']> {
    const { rows, next } = await this.#ask(calls.listAudit, { sinceMs, limit, after });
    return pageOf(rows.map(decodeAuditRow), next);
  }

  async backup(...[path, tell]: Parameters<NodeClient['backup']>): ReturnType<NodeClient['backup']> {
    if (tell !== undefined) return readBackup(stream(this.#client.backupInSteps({ path }), undefined), tell);
    return decodeBackup(await this.#ask(calls.backup, { path }, backupMs));
  }

  async createMesh(input: Parameters<NodeClient['createMesh']>[0]): ReturnType<NodeClient['createMesh']> {
    const { meshId, name, owner, nodeName } = await this.#ask(calls.createMesh, { name: input.name ?? '', new: input.new });
    return { meshId: asMeshId(meshId), name, owner, nodeName };
  }

  async createInvite(input: Parameters<NodeClient['createInvite']>[0]): ReturnType<NodeClient['createInvite']> {
    const request = { ttlMs: input.ttlMs, forPerson: input.forPerson ?? '' };
    const { token, expiresAtMs, addresses } = await this.#ask(calls.createInvite, request);
    return { token, expiresAtMs, addresses };
  }

  async joinMesh(token: string): ReturnType<NodeClient['joinMesh']> {
    const { meshId, meshName, nodeName, owner } = await this.#ask(calls.joinMesh, { token }, remoteMs);
    return { meshId: asMeshId(meshId), meshName, nodeName, owner };
  }

  readonly showPolicy: NodeClient['showPolicy'] = async () => decodePolicy(await this.#ask(calls.showPolicy, {}));
  readonly checkPolicy: NodeClient['checkPolicy'] = async (input) => decodePolicyCheck(await this.#ask(calls.checkPolicy, input));
  readonly addIssuer: NodeClient['addIssuer'] = async (node) => decodeAddedIssuer(await this.#ask(calls.addIssuer, { node }, remoteMs));
  readonly exportRecovery: NodeClient['exportRecovery'] = (input) => this.#ask(calls.exportRecovery, input, remoteMs);
  readonly importRecovery: NodeClient['importRecovery'] = async (input) => decodeImportedRecovery(await this.#ask(calls.importRecovery, input, remoteMs));

  async renameNode(name: string): ReturnType<NodeClient['renameNode']> {
    const { name: now, was } = await this.#ask(calls.renameNode, { name }, remoteMs);
    return { name: now, was };
  }

  async leaveMesh(input: Parameters<NodeClient['leaveMesh']>[0]): ReturnType<NodeClient['leaveMesh']> {
    const { newKey, ...rest } = await this.#ask(calls.leaveMesh, input, input.waitMs + remoteMs);
    return { ...rest, ...(newKey ? { isNewKey: true } : {}) };
  }

  async removeMember(node: string): ReturnType<NodeClient['removeMember']> {
    const { nodeId, ...rest } = await this.#ask(calls.removeMember, { node }, remoteMs);
    return { nodeId: asNodeId(nodeId), ...rest };
  }

  async members(): ReturnType<NodeClient['members']> {
    return (await this.#ask(calls.listMembers, {})).members.map(decodeMember);
  }

  async pending(): ReturnType<NodeClient['pending']> {
    return (await this.#ask(calls.listPending, {})).pending.map(decodeApplicant);
  }

  async admit(input: Parameters<NodeClient['admit']>[0]): ReturnType<NodeClient['admit']> {
    const { rules } = await this.#ask(calls.admit, { node: input.node ?? '', rules: [...input.rules] });
    return { rules: rules.map(decodeRule) };
  }

  close(): void {
    this.#client.close();
  }

  async #ask<Request, Response>(call: UnaryCall<Request, Response>, request: Request, timeoutMs = quickMs): Promise<Response> {
    const { path, requestSerialize, responseDeserialize } = call;
    try {
      return await callUnary<Request, Response>(
        (asked, metadata, options, done) =>
          this.#client.makeUnaryRequest(path, requestSerialize, responseDeserialize, asked, metadata, options, (error, answer) =>
            done(error, answer as Response),
          ),
        request,
        this.#now === undefined ? {} : { timeoutMs, nowMs: this.#now() },
      );
    } catch (thrown) {
      throw asOurs(thrown);
    }
  }
}

function pageOf<Item>(items: readonly Item[], next: string): Page<Item> {
  return { items, ...present({ next: next === '' ? undefined : next }) };
}

async function* updatesIn(messages: AsyncIterable<Pick<InvokeResponse, 'update' | 'more'>>): AsyncGenerator<FlightUpdate> {
  for await (const { update, more } of messages) {
    yield decodeUpdate(update);
    for (const each of more) yield decodeUpdate(each);
  }
}

/** Ends without an error when `signal` aborts. */
async function* stream<Response>(call: ClientReadableStream<Response>, signal: AbortSignal | undefined): AsyncGenerator<Response> {
  try {
    yield* readStream(call, signal);
  } catch (thrown) {
    if (signal?.aborted !== true) throw asOurs(thrown);
  }
}

/** A failure that no handler of the node wrote is the loss of the node itself. */
export function asOurs(thrown: unknown): unknown {
  if (!(thrown instanceof BrokerError) || !isServiceError(thrown.cause)) return thrown;
  const { code } = thrown.cause;
  if (code === grpcStatus.RESOURCE_EXHAUSTED) return new BrokerError('invalid', 'the request is larger than a node takes', { cause: thrown.cause });
  if (code === grpcStatus.UNIMPLEMENTED) {
    return new BrokerError('incompatible', 'the node here is of another version and does not know this', { hint: 'restart it: beckon restart', cause: thrown.cause });
  }
  if (code === grpcStatus.DEADLINE_EXCEEDED) {
    return new BrokerError('unavailable', 'the node here does not answer', { hint: 'see whether its process is stopped or very busy', cause: thrown.cause });
  }
  if (code === grpcStatus.INVALID_ARGUMENT) return thrown;
  return new BrokerError('unavailable', 'the node here went away', { hint: 'look: beckon status; what was accepted is not lost', cause: thrown.cause });
}
