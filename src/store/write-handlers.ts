/** Each write of the port, as it is done inside the writer's transaction. */
import { internal } from '../domain/errors.ts';
import { flightOfInvocation, invocationOfFlight } from '../domain/ids.ts';
import { OriginWrites } from './origin-writes.ts';
import { OwnerWrites } from './owner-writes.ts';
import type { Connection } from './connection.ts';
import type { Input, Wire, WriteName } from './protocol.ts';
import { MovingWrites } from './moving.ts';
import { PruningWrites } from './pruning.ts';
import type { Refusal } from './refusal.ts';
import { RollbackWrites } from './rollback.ts';
import { RequestWrites } from './request-writes.ts';
import type { Tables } from './tables.ts';

export type WriteHandlers = { readonly [Name in WriteName]: (input: Input<Name>) => Wire<Name> | Refusal };

export function writeHandlers(db: Connection, tables: Tables): WriteHandlers {
  const origin = new OriginWrites(tables);
  const owner = new OwnerWrites(tables);
  const rollback = new RollbackWrites(db, tables, origin);
  const pruning = new PruningWrites(db, tables);
  const requests = new RequestWrites(tables);
  const moving = new MovingWrites(db, tables);
  const { agents, audit, boots, enrolment, facts, flights, nodes, projects, registrations, revocations, sessions, shares, trust, worktrees } = tables;
  // A page that was touched is written, whether or not it is another in the end.
  const probe = { write: db.prepare("INSERT INTO settings (key, value) VALUES ('probe', '')"), erase: db.prepare("DELETE FROM settings WHERE key = 'probe'") };
  const entered = (input: Input<'admitMember'>): void => {
    enrolment.entered(input);
    // It will prove so itself; until then a removal is to name it all the same.
    if (input.issuerDer !== undefined) trust.saveIssuer({ nodeId: input.member.nodeId, certificate: input.issuerDer });
  };
  const removeAgent = (input: Input<'removeAgent'>): Wire<'removeAgent'> => {
    const { stamp, act, address, why } = input;
    projects.unlisted(input);
    agents.remove(stamp, address, why);
    sessions.agentGone(address);
    // What comes and goes with a worktree was decided when its project was approved.
    if (act !== undefined) audit.append(stamp, { kind: 'agent.removed', about: { agent: address } }, act);
    return { held: flights.queued(address).map(flightOfInvocation) };
  };
  return {
    boot: (input) => rollback.boot(input),
    rolledBack: (input) => rollback.rolledBack(input),
    settleQuarantined: (input) => rollback.settleQuarantined(input),
    prune: (input) => pruning.prune(input),
    note: ({ stamp, audit: entry, what, invocationId, peerNodeId, detail }) => {
      if (entry !== undefined) audit.record({ stamp, entries: [entry] });
      facts.append(stamp, what, {
        ...(invocationId === undefined ? {} : { invocation: invocationId }),
        ...(peerNodeId === undefined ? {} : { peer: nodes.of(peerNodeId) }),
        ...(detail === undefined ? {} : { detail }),
      });
    },
    audit: (input) => {
      audit.record(input);
    },
    accept: (input) => origin.accept(input),
    acceptAll: (input) => origin.acceptAll(input),
    receive: (input) => owner.receive(input),
    beginAttempt: (input) => origin.beginAttempt(input),
    loseAttempts: (input) => origin.loseAttempts(input),
    defer: (input) => origin.defer(input),
    receipt: (input) => origin.receipt(input),
    reject: (input) => origin.reject(input),
    endAtOrigin: (input) => origin.endAtOrigin(input),
    applyEvents: (input) => origin.applyEvents(input),
    requestCancel: (input) => origin.requestCancel(input),
    notified: ({ flightId, told }) => {
      flights.saveNotified(invocationOfFlight(flightId), told);
    },
    start: (input) => owner.start(input),
    recordProcess: (input) => {
      owner.recordProcess(input);
    },
    forgetProcesses: ({ flightId }) => {
      tables.flightProcesses.forget(invocationOfFlight(flightId));
    },
    bindSession: (input) => {
      owner.bindSession(input);
    },
    appendOutput: (input) => owner.appendOutput(input),
    finish: (input) => owner.finish(input),
    ask: (input) => requests.ask(input),
    giveReply: (input) => requests.giveReply(input),
    receiveReply: (input) => requests.receiveReply(input),
    settleReply: (input) => requests.settleReply(input),
    timeOutRequest: (input) => requests.timeOutRequest(input),
    settleWorktree: ({ flightId, ...rest }) => worktrees.settle({ ...rest, id: invocationOfFlight(flightId) }),
    receiveCancel: (input) => owner.receiveCancel(input),
    acknowledged: (input) => {
      owner.acknowledged(input);
    },
    recover: (input) => {
      origin.loseAllAttempts(input.stamp);
      // What comes back would go on where this copy is not.
      return owner.recover(rollback.isPutBack ? { ...input, mayReturn: [] } : input);
    },
    giveUp: (input) => owner.giveUp(input),
    addAgent: (input) => {
      const answer = agents.add(input);
      const { stamp, act, endpoint: { permissions }, registration: { address, harness, visibility } } = input;
      if (!answer.added) return answer;
      projects.relisted(address);
      if (act !== undefined) audit.append(stamp, { kind: 'agent.added', about: { agent: address, harness, permissions, visibility } }, act);
      return answer;
    },
    removeAgent: (input) => removeAgent(input),
    saveProject: (input) => {
      projects.save(input);
    },
    putInstance: (input) => {
      projects.put(input);
    },
    forgetProject: ({ stamp, act, root, why }) => {
      const removed = projects.instancesOf(root).map((address) => ({ address, ...removeAgent({ stamp, address, why }) }));
      projects.forget({ stamp, act, root, why });
      return { removed };
    },
    shareAgent: (input) => shares.share(input),
    unshareAgent: (input) => shares.unshare(input),
    setAvailability: (input) => {
      agents.setAvailability(input);
    },
    saveRegistry: (input) => !revocations.has(nodes.of(input.head.nodeId)) && registrations.save(input),
    saveMembership: (input) => {
      trust.saveMembership(input);
    },
    replaceOwnChain: (input) => {
      trust.renewOwnChain(input);
    },
    renameNode: (input) => moving.rename(input),
    leaveMesh: (input) => {
      moving.leave(input);
    },
    addInvite: (input) => {
      trust.addInvite(input);
    },
    redeemInvite: (input) => {
      const refusal = trust.redeemInvite(input);
      if (refusal === undefined) entered(input);
      return refusal;
    },
    admitMember: (input) => {
      trust.admit(input);
      entered(input);
    },
    recordApplicant: (input) => {
      enrolment.recordApplicant(input);
    },
    addAdmitRules: (input) => enrolment.addAdmitRules(input),
    saveMembers: (input) => trust.saveMembers(input),
    renameMember: (input) => trust.renameMember(input),
    renewMember: (input) => trust.renewMember(input),
    addIssuer: (input) => {
      revocations.check(nodes.of(input.nodeId), 'denied');
      enrolment.addIssuer(input, trust.nameOf(input.nodeId));
      trust.saveIssuer(input);
    },
    becomeIssuer: (input) => trust.becomeIssuer(input),
    saveAuthorities: (input) => trust.saveAuthorities(input),
    ceaseIssuing: (input) => trust.ceaseIssuing(input),
    recovered: (input) => trust.recovered(input),
    saveIssuer: (input) => {
      trust.saveIssuer(input);
    },
    saveDepartures: (input) => trust.saveDepartures(input),
    saveRevocations: (input) => revocations.save(input),
    saw: (input) => {
      trust.saw(input);
      if (input.epoch !== undefined) boots.saw(input.nodeId, input.epoch);
    },
    probe: () => {
      probe.write.run();
      probe.erase.run();
    },
  };
}

/** @throws BrokerError `internal` for a name that is no write */
export function performWith(handlers: WriteHandlers): (name: string, input: unknown) => unknown {
  const byName = handlers as unknown as Readonly<Record<string, ((input: unknown) => unknown) | undefined>>;
  return (name, input) => {
    const handler = Object.hasOwn(handlers, name) ? byName[name] : undefined;
    if (handler === undefined) throw internal(`the store has no write ${name}`);
    return handler(input);
  };
}
