/** One node: all parts, made and joined here, started in order and stopped in reverse. */
import { hostname } from 'node:os';
import { dirname } from 'node:path';
import { AuditBook } from '../broker/audit-book.ts';
import { Broker } from '../broker/broker.ts';
import { Chronicler } from '../broker/chronicler.ts';
import { BrokerMeasures } from '../broker/measures.ts';
import { rolledBackWords } from '../broker/rollback.ts';
import { ControlServer } from '../control/server.ts';
import { createProjectProbe } from '../discovery/project.ts';
import { readSeeds, SeedSource } from '../discovery/seeds.ts';
import { nameFrom, parseName } from '../domain/address.ts';
import type { Act } from '../domain/audit.ts';
import { formatHostPort } from '../domain/host-port.ts';
import type { HostPort } from '../domain/host-port.ts';
import { toBrokerError } from '../domain/errors.ts';
import { asMeshId } from '../domain/ids.ts';
import type { Harness } from '../domain/harness-port.ts';
import type { Clock, Log } from '../domain/ports.ts';
import type { SignedRecord } from '../domain/registration.ts';
import { AttachedHarness } from '../harness/attached/harness.ts';
import { checkouts, createHarnesses, createOrphans, createWorktrees } from '../harness/registry.ts';
import { acquireLock } from '../store/lock.ts';
import { openStore } from '../store/open.ts';
import { auditKeyOf } from '../trust/audit-key.ts';
import { createFlightTokens, flightTokenSecret } from '../trust/flight-tokens.ts';
import { loadOrCreateNodeKey } from '../trust/node-key.ts';
import { addressesWhenUp } from './addresses-when-up.ts';
import { AtRest } from './at-rest.ts';
import { AuditAnchor } from './audit-anchor.ts';
import { CertificateEnds } from './certificate-ends.ts';
import { CloneMarkKeeper } from './clone-mark.ts';
import { gossipMembers, parseGossipFlag } from './gossip-plan.ts';
import { listenAddresses } from './listen.ts';
import { LiveConfig } from './live-config.ts';
import { createLiveNotifier } from './live-notifier.ts';
import { LivePolicy } from './live-policy.ts';
import { issuerPorts } from './issuing.ts';
import { Measuring } from './measuring.ts';
import { MeshMembership } from './membership.ts';
import { meshesToEnter, MeshSearch } from './mesh-search.ts';
import { Network } from './network.ts';
import { nodeChecks } from './node-checks.ts';
import { removedNote, selfOf } from './node-self.ts';
import { NodeHealth } from './node-health.ts';
import type { NodeLogControl } from './open-log.ts';
import type { Paths } from './paths.ts';
import { projectParts } from './projects.ts';
import { PeerLines } from './peer-lines.ts';
import { personHere } from './person.ts';
import { ensurePrivateDir } from './private-dir.ts';
import { createRecordSeal } from './record-seal.ts';
import { MeshRecovery } from './recovery.ts';
import { refuseFlaws } from './private-places.ts';
import { finishRekey, rekeyIfWished } from './rekey.ts';
import { keyPorts, RefusedKey } from './refused-key.ts';
import { mergeFlags, readRemembered, rememberedPath, writeRemembered } from './remembered.ts';
import type { UpFlags } from './remembered.ts';
import { renameNode } from './rename.ts';
import { authorityPorts, MeshRoots } from './roots.ts';
import { endedNote, renewalDesk, renewAtEntrance } from './renewal.ts';
import { Standing } from './standing.ts';
import { markKeeper, readStoreMark } from './store-mark.ts';
import { createSystemClock } from './system-clock.ts';
import { systemDigest } from './system-digest.ts';
import { collectAll, createUtilization } from './system-memory.ts';
import { systemRandom } from './system-random.ts';
import { createSystemUlids } from './system-ulids.ts';
import { flightTraces, openSpanExport, planTraces } from './telemetry.ts';
import { trustPorts } from './trust-ports.ts';
import { createTailnet, ownerByTailnet, parseTailscaleFlag, tailnetDetour, tailnetRoute, tailnetSources, viewNow } from './tailnet.ts';

export interface NodeOptions {
  readonly paths: Paths;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Of this `up`: each replaces what was remembered. `join`, a token, never is. */
  readonly given: UpFlags & { readonly join?: string };
  /** Holds the lock and answers on the control socket, without network and without running work. */
  readonly offline?: boolean;
  readonly version: string;
  readonly pid: number;
  readonly log: Log;
  /** Of its files; left out where nothing is written. */
  readonly logControl?: NodeLogControl;
  /** For tests: the process kills itself at this step of its store. */
  readonly crashAt?: string;
  /** For tests: the system's own when left out. */
  readonly clock?: Clock;
  /** Besides those of every node. */
  readonly harnesses?: readonly Harness[];
}

export interface RunningNode {
  readonly ready: { readonly node: string; readonly nodeId: string; readonly listen: string | null; readonly gossipListen: string | null; readonly socket: string };
  /** What its owner should know, one sentence each. */
  readonly notes: readonly string[];
  /** Resolves when it has stopped; rejects when stopping failed. */
  readonly stopped: Promise<void>;
  /** Drains first; again, or with `force`: what runs becomes `indeterminate`. */
  stop(force: boolean): Promise<void>;
  /** Reads the config file again, and takes what can change while it runs. Never rejects: what is wrong is in the log. */
  reload(): Promise<void>;
}

/** @throws BrokerError naming what keeps the node from running; whatever was begun is undone */
export async function runNode(options: NodeOptions): Promise<RunningNode> {
  const { paths, env, given, offline = false, version, pid, logControl, crashAt, clock = createSystemClock() } = options;
  await using undo = new AsyncDisposableStack();
  const measures = new BrokerMeasures();
  const { onOverLimit } = measures;
  const log = new PeerLines({ clock, log: options.log, onOverLimit });
  undo.defer(() => log.stop());
  const ulids = createSystemUlids(clock);

  await ensurePrivateDir(paths.stateDir);
  await ensurePrivateDir(paths.trustDir);
  await refuseFlaws(paths);
  await rekeyIfWished({ paths, clock, log, version });
  const lock = acquireLock(paths.lockFile);
  undo.defer(() => lock.release());
  const { join, ...givenFlags } = given;
  const flagsFile = rememberedPath(paths.stateDir);
  const remembered = await readRemembered(flagsFile);
  // What is kept for a bare `up` later; what counts now is what the config makes of it.
  let kept = mergeFlags(remembered, givenFlags);
  const config = await LiveConfig.open({ paths, env, given: givenFlags, remembered, log });
  const policy = offline ? undefined : await LivePolicy.open({ path: paths.policyFile, seenPath: paths.policySeenFile, uid: process.getuid?.() ?? 0, log });
  logControl?.apply(config.now);
  config.onChange(() => logControl?.apply(config.now));
  const { flags } = config;
  const listen = listenAddresses(flags.listen);
  const gossipWish = parseGossipFlag(flags.gossipListen);
  const seeds = readSeeds(flags.seeds ?? []);
  const tailnetParts = { flag: parseTailscaleFlag(flags.tailscale), env, clock, random: systemRandom, log };
  const tailnet = createTailnet(tailnetParts);
  const wishedName = flags.name === undefined ? undefined : parseName(flags.name);

  await finishRekey(paths);
  const nodeKey = await loadOrCreateNodeKey(paths.keyFile);
  logControl?.setNode(nodeKey.nodeId);
  const refusals = await CloneMarkKeeper.open(paths.cloneFile, nodeKey.nodeId, log);
  undo.defer(() => refusals.settled());
  const anchor = await AuditAnchor.open({ path: paths.auditFile, key: auditKeyOf(nodeKey), log });
  undo.defer(() => anchor.settled());
  let migrated: string | undefined;
  const tell = (text: string): void => log.info({}, (migrated = text));
  const store = await openStore({ path: paths.dbFile, nodeId: nodeKey.nodeId, auditKey: auditKeyOf(nodeKey), onAudit: (head) => anchor.heard(head), log, clock, tell, ...(crashAt === undefined ? {} : { crashAt }) });
  undo.defer(() => store.close());
  const chronicler = new Chronicler(clock, store.read.lastHlc());
  const newest = await readStoreMark(paths.epochFile);
  const { epoch, previousEpoch, rolledBack } = await store.write.boot({
    stamp: chronicler.stamp(),
    nodeId: nodeKey.nodeId,
    version,
    ...(newest === undefined ? {} : { newest }),
    audit: { known: anchor.known?.head },
  });
  anchor.heard(store.read.auditHead());
  const audit = new AuditBook({ write: store.write, chronicler, clock, log });
  undo.defer(() => audit.stop());
  await policy?.recordIn(audit);
  const keepMark = markKeeper(paths.epochFile, store, epoch);
  await keepMark();
  undo.defer(keepMark);
  if (rolledBack) log.error({ previousEpoch, newestEpoch: newest?.epoch, newestFact: newest?.fact }, rolledBackWords);

  const socketDir = dirname(paths.socketPath);
  const sources = [new SeedSource(seeds), ...tailnetSources(tailnet, tailnetParts)];
  const detour = tailnetDetour(tailnet);
  const lookParts = tailnet === undefined ? undefined : { tailnet, route: tailnetRoute(tailnet, socketDir), detour, clock, log };
  // Somebody wanted to speak to this node, which is in no mesh.
  let knocked = (): void => undefined;
  const ownAddresses = (): readonly HostPort[] | Promise<readonly HostPort[]> => (offline ? addressesWhenUp(listen, tailnet) : network.addresses());
  const membership = new MeshMembership({
    store,
    trustDir: paths.trustDir,
    nodeKey,
    clock,
    chronicler,
    log,
    nodeName: () => self.name(),
    owner: async () => ownerByTailnet(await viewNow(tailnet)) ?? personHere(),
    otherMeshes: () => meshesToEnter(lookParts, sources, offline),
    addresses: () => ownAddresses(),
    detour,
    refusedKey: new RefusedKey(paths),
    onJoined: (identity, members) => {
      network.setIdentity(identity);
      network.addMembers(members);
    },
  });
  let unjoinedName: string = wishedName ?? nameFrom(hostname().split('.')[0] ?? '') ?? 'node';
  const self = selfOf({ store, nodeId: nodeKey.nodeId, epoch, previousEpoch, version, unjoinedName: () => unjoinedName });
  const starter: Act = { who: { is: 'user', id: `uid:${process.getuid?.() ?? 0}` }, from: { via: 'start' } };
  const isNamed = wishedName === undefined || (await renameNode({ store, membership, nodeKey, chronicler, to: wishedName, act: starter }));
  const identity = await membership.load();

  const standing = new Standing(store);
  const unreachable = (): string | undefined => (self.mesh() === undefined ? 'this node is in no mesh' : network.addresses().length === 0 ? 'this node listens nowhere' : undefined);
  const health = await NodeHealth.open({ store, dbFile: paths.dbFile, refusal: () => broker.refusal(), unreachable, clock, log });
  const ends: CertificateEnds = new CertificateEnds({ store, clock, log, sessions: () => network.mesh.sessions(), onEnded: () => network.gossip.membersChanged() });
  const revoked = (record: SignedRecord, act?: Act): Promise<unknown> =>
    broker.membership.removal.received(record, act).catch((error: unknown) => log.warn({ err: error }, 'a peer says that this node was removed, and can not prove it'));
  const network: Network = new Network({
    nodeId: nodeKey.nodeId,
    nodeKey,
    gossip: { wish: gossipWish, members: () => gossipMembers(store, broker.registry.state, (member) => ends.hasEnded(member)), handler: (news, from) => broker.registry.gossiped(news, from) },
    epoch,
    previousEpoch,
    seenEpochs: (nodeId) => store.read.seenEpochs(nodeId),
    ...{ standing, health, audit },
    onRevoked: (record, act) => void revoked(record, act),
    version,
    listen,
    tailnet,
    sources,
    onKnock: () => knocked(),
    onMoved: () => broker.addressesChanged(),
    socketDir,
    identity,
    issuer: () => membership.issuer,
    admission: () => broker.admission,
    renew: renewalDesk({ store, standing, clock, renewals: () => broker.membership.renewals }),
    links: {
      onUp: (link) => {
        refusals.accepted(link.peer);
        broker.links.onUp(link);
      },
      onMessage: (link, message) => broker.links.onMessage(link, message),
      onQuery: (link, query) => broker.links.onQuery(link, query),
      onDown: (link, why) => broker.links.onDown(link, why),
      onClone: (sighting) => broker.links.onClone(sighting),
      onRefusedAsClone: (peer, why) => {
        if (refusals.refused(peer, why, clock.now())) broker.links.onRefusedAsClone(peer, why);
      },
      isOwed: (nodeId) => broker.links.isOwed(nodeId),
      digest: () => broker.links.digest(),
      onDigest: (link, digest) => broker.links.onDigest(link, digest),
    },
    ...{ chronicler, onOverLimit, clock, random: systemRandom, log },
  });
  network.gossip.setRefused(refusals.standing.refused !== undefined);
  if (store.read.removedFrom() === undefined) network.addMembers(store.read.members());

  const notifier = await createLiveNotifier(config, { configFile: paths.configFile, environment: env, home: paths.stateDir, platform: process.platform, clock });

  /** A bare `up` must not give it back a name that it had. */
  const rememberName = async (name: string): Promise<void> => {
    kept = mergeFlags(kept, { name });
    if (!offline) await writeRemembered(flagsFile, kept);
  };

  // Asked for before the node is up, say while it joins: done as soon as it is.
  let early: { force: boolean } | undefined;
  let requestStop = (force: boolean): void => {
    early = { force: force || early?.force === true };
  };
  const attached = new AttachedHarness({ clock, onServersChanged: (address) => broker.agentChanged(address) });
  const tracesPlan = planTraces(config.now, env, log);
  const spans = await openSpanExport({ plan: offline ? undefined : tracesPlan, paths, store, nodeId: nodeKey.nodeId, nodeName: self.name(), version, clock, log });
  const probe = createProjectProbe(env['PATH'] ?? '/usr/bin:/bin');
  const roots: MeshRoots = new MeshRoots({ store, trustDir: paths.trustDir, nodeId: nodeKey.nodeId, clock, log, by: () => `${self.owner()} on ${self.name()}`, find: (text) => broker.membership.find(text), authorities: () => broker.membership.authorities });
  const broker: Broker = new Broker({
    ...{ self, store },
    mesh: () => network.mesh,
    gossip: () => network.gossip,
    gossipAddresses: () => network.gossip.addresses().map(formatHostPort),
    harnesses: new Map([...createHarnesses({ clock, environment: env, log, version, events: { ended: (flightId) => broker.processEnded(flightId) } }), [attached.name, attached], ...(options.harnesses ?? []).map((each) => [each.name, each] as const)]),
    orphans: createOrphans({ clock, log }),
    worktrees: createWorktrees({ clock, environment: env, directory: paths.worktreesDir, log }),
    checkouts,
    flightTokens: createFlightTokens(flightTokenSecret(nodeKey)),
    home: paths.stateDir,
    seal: createRecordSeal(nodeKey, () => self.mesh()?.id),
    probe,
    projects: await projectParts({ paths, env, clock, log, probe, config }),
    ...{ authority: roots, audit, knownEnd: () => anchor.known, chronicler, clock, random: systemRandom, ulids, digest: systemDigest, log, traces: flightTraces(nodeKey.nodeId, tracesPlan) },
    meshUseCases: membership,
    recovery: new MeshRecovery({ ...{ store, trustDir: paths.trustDir, nodeKey, clock, chronicler, membership }, nodeName: () => self.name(), addresses: ownAddresses, revoked, learned: (bytes) => broker.membership.authorities.add(bytes, { what: 'root.learned' }), announce: () => broker.membership.roster.rulesChanged() }),
    ...authorityPorts({ store, membership, network: () => network, standing, clock }),
    ...trustPorts({ store, standing, membership, nodeId: nodeKey.nodeId, clock }),
    ...issuerPorts({ store, trustDir: paths.trustDir, nodeKey, clock, chronicler, membership }),
    renewAtEntrance: (chain, signal) => renewAtEntrance({ store, nodeKey, clock, detour, seeds, sources, onRevoked: revoked, onAuthorities: (bytes, from) => broker.membership.authorities.heard(bytes, from) }, chain, signal),
    ownAddresses: () => network.addresses().map(formatHostPort),
    onMembers: (members) => network.addMembers(members),
    tailnetUser: () => (tailnet?.view.kind === 'up' ? tailnet.view.status.self?.user : undefined),
    onRenewed: async () => network.setIdentity(await membership.load()),
    onRenamed: async (name) => {
      await rememberName(name);
      network.setIdentity(await membership.load());
    },
    onSelfRemoved: () => {
      membership.close();
      network.setIdentity(undefined);
      return Promise.resolve();
    },
    ...keyPorts(paths),
    lossesOfKeys: (mesh, others) => membership.lossesOfKeys(mesh, others),
    onLeft: async (mesh) => {
      unjoinedName = mesh.name;
      network.setIdentity(undefined);
      await membership.forget(mesh);
      await rememberName(mesh.name);
    },
    pid,
    ...(policy === undefined ? {} : { policyFile: policy }),
    standings: network.callers,
    notifier,
    wishes: config,
    measures,
    chores: [{ name: 'end what certificates have ended for', run: () => ends.look() }, { name: 'certify issuers by later roots', run: () => roots.look() }, { name: 'write down how far the store is', run: keepMark }],
    checks: () => nodeChecks({ store, trustDir: paths.trustDir, links: () => network.mesh.links(), clock, tailnet: () => tailnet?.view, isFixed: listen !== undefined, network, gossip: network.gossip, renewal: () => broker.membership.renewal.last, spans }),
    standing: () => refusals.standing,
    onShutdown: (forced) => requestStop(forced),
  });
  const control = new ControlServer({ api: broker, audit, served: attached, socketPath: paths.socketPath, uid: process.getuid?.() ?? 0, clock, log, config: () => config.view(), health, onOverLimit });

  undo.defer(() => spans?.stop());
  await spans?.start();
  undo.defer(() => roots.stop());
  undo.defer(() => broker.stop());
  if (!offline) {
    // Before any peer can hand over work: what is running in the store now was left by a node that died.
    await broker.start();
    undo.defer(() => network.stop());
    // Whoever has started it looks at it next.
    store.inspect.wake();
    await ensurePrivateDir(socketDir);
    await network.start();
  }
  await control.start();
  undo.defer(() => control.stop());
  if (join !== undefined) await membership.joinMesh(join, starter);
  // Of a mesh that removed it a node remains until it leaves.
  const isMember = (): boolean => (store.read.membership() ?? store.read.removedFrom()) !== undefined;
  const search = offline || lookParts === undefined || isMember() ? undefined : new MeshSearch({ ...lookParts, sources, random: systemRandom, isMember, hasLeft: (meshId) => store.read.hasLeft(asMeshId(meshId)), enter: (known, call) => membership.enter(known, call) });
  knocked = () => search?.knocked();
  undo.defer(() => search?.stop());
  await search?.start();
  if (!offline) await writeRemembered(flagsFile, kept);
  let nameNote: string | undefined;
  if (!isNamed && !offline) {
    await broker.as(starter).renameNode(wishedName ?? '').catch((error: unknown) => {
      const { message, hint } = toBrokerError(error);
      nameNote = `the name ${wishedName} was not given: ${message}${hint === undefined ? '' : `; ${hint}`}`;
      log.warn({}, nameNote);
    });
  }
  const atRest = new AtRest({ clock, utilization: createUtilization(), collect: collectAll });
  undo.defer(() => atRest.stop());
  if (!offline) await atRest.start();
  const measuring = new Measuring({ config, broker, measures, store, dbFile: paths.dbFile, network, clock, log });
  undo.defer(() => measuring.stop());
  if (!offline) await measuring.start();
  log.info({ name: self.name(), epoch, version, pid }, 'the node is up');

  const running = undo.move();
  const stopped = Promise.withResolvers<void>();
  let isStopping = false;
  requestStop = (forced) => {
    if (forced) broker.force();
    if (isStopping) return;
    isStopping = true;
    const drained = broker.drain();
    health.changed();
    void drained
      .then(() => running.disposeAsync())
      .then(() => log.info({}, 'the node is down'))
      .then(stopped.resolve, (error: unknown) => {
        log.error({ err: error }, 'the node did not stop as it should');
        stopped.reject(error);
      });
  };
  if (early !== undefined) requestStop(early.force);
  const addresses = network.addresses();
  const [gossipAddress] = network.gossip.addresses();
  return {
    ready: {
      node: self.name(),
      nodeId: nodeKey.nodeId,
      listen: addresses[0] === undefined ? null : formatHostPort(addresses[0]),
      gossipListen: gossipAddress === undefined ? null : formatHostPort(gossipAddress),
      socket: paths.socketPath,
    },
    notes: [...(rolledBack ? [rolledBackWords] : []), ...[migrated, removedNote(store), endedNote(store, clock), network.note(), network.gossip.note(), search?.note, nameNote].filter((note) => note !== undefined)],
    stopped: stopped.promise,
    stop: (forced) => {
      requestStop(forced);
      return stopped.promise;
    },
    reload: async () => {
      logControl?.reopen();
      await config.reload();
      await policy?.reload();
    },
  };
}
