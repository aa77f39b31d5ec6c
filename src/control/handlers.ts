/** The control service: each call is authenticated, read, passed to its use case, and its answer written. */
import type { AgentView, BrokerApi, LocalCaller } from '../broker/api.ts';
import type { ConfigView } from '../domain/config-view.ts';
import type { ControlServiceServer } from '../gen/beckon/v1/control.ts';
import type { InvokeRequest } from '../gen/beckon/v1/invoke.ts';
import { outputStream } from '../rpc/enums.ts';
import { buffer, list, optionalText, present, whole } from '../rpc/fields.ts';
import { serverStream, unary } from '../rpc/handler.ts';
import type { Edge } from '../rpc/handler.ts';
import { encodeDelivery, encodeFlight } from '../rpc/records.ts';
import { encodeShare } from '../rpc/sharing.ts';
import { encodeInvocation } from '../rpc/work.ts';
import { decodeSettle, encodeIsolation } from '../rpc/worktrees.ts';
import { decodeAgentFilter, decodeDeliveryFilter, decodeFlightFilter, decodeInvoke, decodeInvokeAll, decodePage, decodeReplyInput, decodeRule, decodeSelector, decodeShareInput, decodeSpec, longestWaitMs } from './requests.ts';
import { actOf } from './act.ts';
import { auditHandlers } from './audit.ts';
import { backupInSteps } from './backup.ts';
import { callsHandler } from './calls.ts';
import { encodeConfig } from './config.ts';
import { issuerHandlers } from './issuers.ts';
import { encodeTrace, operatorHandlers } from './operator.ts';
import { policyHandlers } from './policy.ts';
import { projectHandlers } from './projects.ts';
import { together } from './together.ts';
import { serveHandler } from './serve.ts';
import type { ServeParts } from './serve.ts';
import { submitHandler } from './submit.ts';
import { SubmitRoom } from './submit-room.ts';
import { encodeAgent, encodeAgentsUpdate, encodeApplicant, encodeAttempt, encodeCounts, encodeDiffPart, encodeMember, encodePeer, encodePeersUpdate, encodeResolved, encodeStatus, encodeUpdate, encodeWaiting } from './views.ts';


/** Letting go of a stream ends the reading and never the flight. */
export function controlHandlers(api: BrokerApi, edge: Edge<LocalCaller>, { config, ...serve }: Pick<ServeParts, 'served' | 'stopping'> & { readonly config: () => Promise<ConfigView> }): ControlServiceServer {
  /** Of flights, a process of one has its own and what it led to. */
  const checkFamily = async ({ flight }: LocalCaller, id: string): Promise<void> => {
    if (flight !== undefined) await api.checkFamily(flight, id);
  };
  const room = new SubmitRoom();
  return {
    getStatus: unary(edge, async () => encodeStatus(await api.status())),
    shutdown: unary(edge, async (_caller, { force }) => api.shutdown(force)),

    addAgent: unary(edge, async (caller, request) => {
      const { agent, added } = await api.as(actOf(caller)).addAgent(decodeSpec(request));
      return { agent: encodeAgent(agent), added };
    }),
    removeAgent: unary(edge, async (caller, { address }) => api.as(actOf(caller)).removeAgent(address)),
    shareAgent: unary(edge, async (caller, request) => {
      const { shares, ...rest } = await api.as(actOf(caller)).shareAgent(decodeShareInput(caller, request));
      return { ...rest, shares: shares.map(encodeShare) };
    }),
    unshareAgent: unary(edge, async (caller, request) => {
      const { shares, ...rest } = await api.as(actOf(caller)).unshareAgent(decodeShareInput(caller, request));
      return { ...rest, shares: shares.map(encodeShare) };
    }),
    getAgent: unary(edge, async (caller, { address }) => ({ agent: encodeAgent(shownTo(caller, await api.getAgent(address))) })),
    listAgents: unary(edge, async (caller, request) => {
      const page = await api.listAgents({ ...decodeAgentFilter(request.filter), ...present({ node: optionalText(request.node, 'node') }) }, decodePage(request));
      return { agents: page.items.map((each) => encodeAgent(shownTo(caller, each))), next: page.next ?? '' };
    }),
    watchAgents: serverStream(edge, async function* (_caller, { filter }, signal) {
      for await (const update of api.watchAgents(decodeAgentFilter(filter), signal)) yield* encodeAgentsUpdate(update);
    }),
    resolve: unary(edge, async (_caller, request) => encodeResolved(await api.resolve(decodeSelector(request.selector)))),

    ...projectHandlers(api, edge),
    ...operatorHandlers(api, edge),
    ...issuerHandlers(api, edge),
    ...policyHandlers(api, edge),
    ...auditHandlers(api, edge),

    invoke: serverStream(edge, async function* (caller, request, signal) {
      const { flight, deduplicated, notes } = await invokeOnce(api, caller, request);
      const updates = api.follow(flight.id, { afterSeq: 0, deduplicated, signal, ...present({ notes }) });
      for await (const [first, ...more] of together(updates, request.takesMore && !request.detach)) {
        yield { update: first === undefined ? undefined : encodeUpdate(first), more: more.map(encodeUpdate) };
        if (request.detach) return;
      }
    }),
    submit: submitHandler({ api, edge, room, stopping: serve.stopping }),
    calls: callsHandler({ api, edge, room, stopping: serve.stopping, checkFamily }),
    invokeAll: unary(edge, async (caller, request) => {
      const { groupId, flights, deduplicated, notes = [] } = await api.invokeAll(decodeInvokeAll(caller, request));
      return { groupId, atMs: flights[0]?.acceptedAtMs ?? 0, flights: flights.map(encodeFlight), deduplicated, notes: [...notes] };
    }),
    getGroup: unary(edge, async (caller, { id }) => {
      const { groupId, flights } = await api.getGroup(id);
      for (const flight of flights) await checkFamily(caller, flight.id);
      return { groupId, flights: flights.map(encodeFlight) };
    }),
    followFlight: serverStream(edge, async function* (caller, request, signal) {
      await checkFamily(caller, request.id);
      const flight = await api.findFlight(request.id);
      const afterSeq = whole(request.afterSeq, 'after_seq');
      for await (const [first, ...more] of together(api.follow(flight.id, { afterSeq, deduplicated: false, signal }), request.takesMore)) {
        yield { update: first === undefined ? undefined : encodeUpdate(first), more: more.map(encodeUpdate) };
      }
    }),
    listFlights: unary(edge, async ({ flight }, request) => {
      const family = present({ family: flight?.invocationId });
      const page = await api.listFlights({ ...decodeFlightFilter(request), ...family }, decodePage(request));
      return { flights: page.items.map(encodeFlight), next: page.next ?? '' };
    }),
    getFlight: unary(edge, async (caller, { id }) => {
      await checkFamily(caller, id);
      const detail = await api.getFlight(id);
      return {
        flight: encodeFlight(detail.flight),
        delivery: detail.delivery === undefined ? undefined : encodeDelivery(detail.delivery),
        invocation: encodeInvocation(detail.invocation),
        output: buffer(detail.output),
        truncated: detail.truncated,
        originName: detail.originName,
        ownerName: detail.ownerName,
        isolation: detail.isolation === undefined ? undefined : encodeIsolation(detail.isolation),
      };
    }),
    readOutput: serverStream(edge, async function* (caller, request, signal) {
      await checkFamily(caller, request.id);
      const flight = await api.findFlight(request.id);
      const stream = outputStream.optionalFromWire(request.stream) ?? 'stdout';
      for await (const content of api.output(flight.id, stream)) {
        if (signal.aborted) return;
        yield { content: buffer(content) };
      }
    }),
    cancelFlight: unary(edge, async (caller, { id, waitMs }) => {
      await checkFamily(caller, id);
      const by = caller.flight === undefined ? 'local' : caller.id;
      const { flight, confirmed } = await api.cancelFlight(id, Math.min(whole(waitMs, 'wait_ms'), longestWaitMs), by);
      return { flight: encodeFlight(flight), confirmed };
    }),

    serve: serveHandler({ api, edge, ...serve }),

    replyToFlight: unary(edge, async (caller, request) => {
      const { flight, ...rest } = await api.as(actOf(caller)).replyToFlight(decodeReplyInput(caller, request));
      return { flight: encodeFlight(flight), ...rest };
    }),
    listWaiting: unary(edge, async () => encodeWaiting(await api.listWaiting())),

    readDiff: serverStream(edge, async function* (caller, { id }, signal) {
      await checkFamily(caller, id);
      for await (const part of api.readDiff(id)) {
        if (signal.aborted) return;
        yield { part: encodeDiffPart(part) };
      }
    }),
    settleWorktree: unary(edge, async (caller, { id, state, tree }) => {
      await checkFamily(caller, id);
      const { flightId, ownerName, isolation, tip = '' } = await api.settleWorktree({ id, by: caller.id, ...decodeSettle(state, tree) });
      return { flightId, ownerName, isolation: encodeIsolation(isolation), tip };
    }),

    listDeliveries: unary(edge, async (_caller, request) => {
      const page = await api.listDeliveries(decodeDeliveryFilter(request), decodePage(request));
      return { deliveries: page.items.map(encodeDelivery), next: page.next ?? '' };
    }),
    getDelivery: unary(edge, async (_caller, { id }) => {
      const { delivery, attempts } = await api.getDelivery(id);
      return { delivery: encodeDelivery(delivery), attempts: attempts.map(encodeAttempt) };
    }),
    redriveDelivery: unary(edge, async (caller, { id, confirmed }) => {
      const { flight, deduplicated } = await api.redriveDelivery({ id, caller, confirmed });
      const { invocationId, id: flightId, target, acceptedAtMs } = flight;
      return { atMs: acceptedAtMs, invocationId, flightId, target, deduplicated };
    }),
    trace: unary(edge, async (caller, { invocation }) => {
      await checkFamily(caller, invocation);
      return encodeTrace(await api.trace(invocation));
    }),
    listPeers: unary(edge, async () => ({ peers: (await api.peers()).map(encodePeer) })),
    watchPeers: serverStream(edge, async function* (_caller, _request, signal) {
      for await (const update of api.watchPeers(signal)) yield encodePeersUpdate(update);
    }),
    ping: unary(edge, async (_caller, { node }) => api.ping(node)),
    diagnose: unary(edge, async () => ({ checks: (await api.diagnose()).map(({ id, ok, detail, hint }) => ({ id, ok, detail, hint })) })),
    showConfig: unary(edge, async () => encodeConfig(await config())),

    backup: unary(edge, async (_caller, { path }) => {
      const { flights, ...rest } = await api.backup(path);
      return { ...rest, flights: encodeCounts(flights) };
    }),
    backupInSteps: serverStream(edge, (_caller, { path }) => backupInSteps(api, path)),

    createMesh: unary(edge, async (caller, request) =>
      api.as(actOf(caller)).createMesh({ new: request.new, ...present({ name: optionalText(request.name, 'name') }) }),
    ),
    createInvite: unary(edge, async (caller, { ttlMs, forPerson }) => {
      const input = present({ ttlMs: ttlMs === undefined ? undefined : whole(ttlMs, 'ttl_ms'), forPerson: optionalText(forPerson, 'for_person') });
      const { addresses, ...rest } = await api.as(actOf(caller)).createInvite(input);
      return { ...rest, addresses: [...addresses] };
    }),
    joinMesh: unary(edge, async (caller, { token }) => api.as(actOf(caller)).joinMesh(token)),
    renameNode: unary(edge, async (caller, { name }) => api.as(actOf(caller)).renameNode(name)),
    leaveMesh: unary(edge, async (caller, { force, confirmed, waitMs }) => {
      const result = await api.as(actOf(caller)).leaveMesh({ force, confirmed, waitMs: Math.min(whole(waitMs, 'wait_ms'), longestWaitMs) });
      return { ...result, told: [...result.told], untold: [...result.untold], losses: [...result.losses], newKey: result.isNewKey === true };
    }),
    removeMember: unary(edge, async (caller, { node }) => {
      const { told, untold, letIn, ...rest } = await api.as(actOf(caller)).removeMember(node, caller.id);
      return { ...rest, told: [...told], untold: [...untold], letIn: [...letIn] };
    }),
    listMembers: unary(edge, async () => ({ members: (await api.members()).map(encodeMember) })),
    listPending: unary(edge, async () => ({ pending: (await api.pending()).map(encodeApplicant) })),
    admit: unary(edge, async (caller, request) => {
      const { rules } = await api.as(actOf(caller)).admit({ ...present({ node: optionalText(request.node, 'node') }), rules: list(request.rules, 'rules', 100).map(decodeRule) });
      return { rules: [...rules] };
    }),
  };
}

/** The call goes on as long as the flight, and keeps the message that it began with: not its task, which is stored by then. */
async function invokeOnce(api: BrokerApi, caller: LocalCaller, request: InvokeRequest): ReturnType<BrokerApi['invoke']> {
  const input = decodeInvoke(caller, request);
  request.task = undefined;
  return api.invoke(input);
}

/** An endpoint holds other agents' environments: nothing for a process of a flight. */
function shownTo(caller: LocalCaller, view: AgentView): AgentView {
  if (caller.flight === undefined) return view;
  const { endpoint: _hidden, ...rest } = view;
  return rest;
}
