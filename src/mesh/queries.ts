/** Questions between nodes and their answers, wire and domain. Decoders throw BrokerError `invalid` or `incompatible`. */
import { BrokerError } from '../domain/errors.ts';
import { isInvocationId, isNodeId } from '../domain/ids.ts';
import type { PeerAnswer, PeerQuery, Settle } from '../domain/messages.ts';
import type * as mesh from '../gen/beckon/v1/mesh.ts';
import type * as wire from '../gen/beckon/v1/worktree.ts';
import { deliveryState, flightState, worktreeState } from '../rpc/enums.ts';
import { buffer, bytes, id, list, name, optionalId, optionalText, optionalWhole, present, required, text, whole } from '../rpc/fields.ts';
import { decodeDiffSummary, decodeIsolation, decodeSettle, encodeDiffSummary, encodeIsolation, optionalObjectName } from '../rpc/worktrees.ts';
import { decodeDelivery, decodeFlight, decodeSignedRecord, encodeDelivery, encodeFlight, encodeSignedRecord } from '../rpc/records.ts';
import { decodeObservationAnswer, decodeObservationQuery, encodeObservationAnswer, encodeObservationQuery } from '../rpc/observation.ts';
import { decodeRegistryAnswer, decodeRegistryQuery, encodeRegistryAnswer, encodeRegistryQuery } from '../rpc/registry.ts';
import { decodeReply, encodeReply } from '../rpc/work.ts';

const mostItems = 1000;
const mostAddresses = 32;

export function encodeQuery(query: PeerQuery): mesh.Query['query'] {
  switch (query.type) {
    case 'ping':
      return { $case: 'ping', value: {} };
    case 'reach':
      return { $case: 'reach', value: { nodeId: query.nodeId } };
    case 'dial_back':
      return { $case: 'dialBack', value: {} };
    case 'rename':
      return { $case: 'rename', value: { name: query.name } };
    case 'renew':
      return { $case: 'renew', value: { nowMs: query.nowMs } };
    case 'issuer_key':
      return { $case: 'issuerKey', value: {} };
    case 'become_issuer':
      return { $case: 'becomeIssuer', value: { certificate: buffer(query.certificate) } };
    case 'renew_issuer':
      return { $case: 'renewIssuer', value: {} };
    case 'leave':
      return { $case: 'leave', value: { departure: encodeSignedRecord(query.departure) } };
    case 'remove':
      return { $case: 'remove', value: { nodeId: query.nodeId, by: query.by } };
    case 'revoked':
      return { $case: 'revoked', value: { revocation: encodeSignedRecord(query.revocation) } };
    case 'registry_digest':
    case 'registry_entries':
    case 'registry_records':
      return encodeRegistryQuery(query);
    case 'trace':
    case 'facts':
    case 'find':
    case 'report':
      return encodeObservationQuery(query);
    case 'standings':
      return { $case: 'standings', value: { invocationIds: [...query.invocationIds] } };
    case 'diff':
      return { $case: 'diff', value: { invocationId: query.invocationId, snapshot: query.snapshot ?? '', offset: query.offset } };
    case 'worktree':
      return {
        $case: 'worktree',
        value: { invocationId: query.invocationId, state: worktreeState.toWire(query.settle?.verb), tree: query.settle?.tree ?? '', by: query.settle?.by ?? '' },
      };
    case 'reply': {
      const { invocationId, request, reply, by, waitMs } = query;
      return { $case: 'reply', value: { invocationId, request, ...encodeReply(reply), by, waitMs } };
    }
    case 'flights': {
      const { state, agent } = query.filter;
      return {
        $case: 'flights',
        value: { state: flightState.toWire(state), agent: agent ?? '', limit: query.limit, after: query.after ?? '' },
      };
    }
    case 'deliveries': {
      const { status, invocationId, sinceMs } = query.filter;
      return {
        $case: 'deliveries',
        value: {
          status: deliveryState.toWire(status),
          invocationId: invocationId ?? '',
          sinceMs,
          limit: query.limit,
          after: query.after ?? '',
        },
      };
    }
  }
}

/** A question that only a newer version knows is `incompatible`. */
export function decodeQuery(query: mesh.Query['query']): PeerQuery {
  switch (query?.$case) {
    case 'ping':
      return { type: 'ping' };
    case 'reach':
      return { type: 'reach', nodeId: id(isNodeId, query.value.nodeId, 'reach.node_id') };
    case 'dialBack':
      return { type: 'dial_back' };
    case 'rename':
      return { type: 'rename', name: name(query.value.name, 'rename.name') };
    case 'renew':
      return { type: 'renew', nowMs: whole(query.value.nowMs, 'renew.now_ms') };
    case 'issuerKey':
      return { type: 'issuer_key' };
    case 'becomeIssuer':
      return { type: 'become_issuer', certificate: bytes(query.value.certificate) };
    case 'renewIssuer':
      return { type: 'renew_issuer' };
    case 'leave':
      return { type: 'leave', departure: decodeSignedRecord(required(query.value.departure, 'leave.departure')) };
    case 'remove':
      return { type: 'remove', nodeId: id(isNodeId, query.value.nodeId, 'remove.node_id'), by: name(query.value.by, 'remove.by') };
    case 'revoked':
      return { type: 'revoked', revocation: decodeSignedRecord(required(query.value.revocation, 'revoked.revocation')) };
    case 'registryDigest':
    case 'registryEntries':
    case 'registryRecords':
      return decodeRegistryQuery(query);
    case 'trace':
    case 'facts':
    case 'find':
    case 'report':
      return decodeObservationQuery(query);
    case 'standings': {
      const ids = list(query.value.invocationIds, 'standings.invocation_ids', mostItems);
      return { type: 'standings', invocationIds: ids.map((each) => id(isInvocationId, each, 'standings.invocation_id')) };
    }
    case 'diff':
      return {
        type: 'diff',
        invocationId: id(isInvocationId, query.value.invocationId, 'diff.invocation_id'),
        offset: whole(query.value.offset, 'diff.offset'),
        ...present({ snapshot: optionalText(query.value.snapshot, 'diff.snapshot') }),
      };
    case 'worktree':
      return { type: 'worktree', invocationId: id(isInvocationId, query.value.invocationId, 'worktree.invocation_id'), ...settleOf(query.value) };
    case 'reply': {
      const { invocationId, request, by, waitMs } = query.value;
      return {
        type: 'reply',
        invocationId: id(isInvocationId, invocationId, 'reply.invocation_id'),
        request: text(request, 'reply.request', 100),
        reply: decodeReply(query.value),
        by: name(by, 'reply.by'),
        waitMs: whole(waitMs, 'reply.wait_ms'),
      };
    }
    case 'flights': {
      const { state, agent, limit, after } = query.value;
      return {
        type: 'flights',
        filter: present({ state: flightState.optionalFromWire(state), agent: optionalText(agent, 'flights.agent') }),
        ...page(limit, after),
      };
    }
    case 'deliveries': {
      const { status, invocationId, sinceMs, limit, after } = query.value;
      return {
        type: 'deliveries',
        filter: present({
          status: deliveryState.optionalFromWire(status),
          invocationId: optionalId(isInvocationId, invocationId, 'deliveries.invocation_id'),
          sinceMs: optionalWhole(sinceMs, 'deliveries.since_ms'),
        }),
        ...page(limit, after),
      };
    }
    case undefined:
      throw new BrokerError('incompatible', 'this node does not know that question', { hint: 'update Beckon on it' });
  }
}

export function encodeAnswer(answer: PeerAnswer): NonNullable<mesh.Answer['answer']> {
  switch (answer.type) {
    case 'ping':
      return { $case: 'ping', value: { nowMs: answer.nowMs } };
    case 'reach':
      return { $case: 'reach', value: { reached: answer.reached, epoch: answer.epoch } };
    case 'dial_back':
      return { $case: 'dialBack', value: { results: answer.results.map((each) => ({ ...each, why: each.why ?? '' })) } };
    case 'rename':
    case 'renew':
      return { $case: answer.type, value: { chain: { leaf: buffer(answer.chain.leaf), issuer: buffer(answer.chain.issuer) } } };
    case 'issuer_key':
      return { $case: 'issuerKey', value: { publicKey: buffer(answer.offer.publicKey), proof: buffer(answer.offer.proof) } };
    case 'become_issuer':
      return { $case: 'becomeIssuer', value: {} };
    case 'renew_issuer':
      return { $case: 'renewIssuer', value: {} };
    case 'leave':
      return { $case: 'leave', value: {} };
    case 'remove':
      return { $case: 'remove', value: { revocation: encodeSignedRecord(answer.revocation) } };
    case 'revoked':
      return { $case: 'revoked', value: {} };
    case 'registry_digest':
    case 'registry_entries':
    case 'registry_records':
      return encodeRegistryAnswer(answer);
    case 'trace':
    case 'facts':
    case 'find':
    case 'report':
      return encodeObservationAnswer(answer);
    case 'standings':
      return { $case: 'standings', value: { standings: answer.standings.map((each) => ({ ...each })) } };
    case 'diff':
      return { $case: 'diff', value: { snapshot: answer.snapshot, summary: encodeDiffSummary(answer.summary), content: buffer(answer.bytes) } };
    case 'worktree':
      return { $case: 'worktree', value: { isolation: encodeIsolation(answer.isolation), tip: answer.tip ?? '' } };
    case 'reply':
      return { $case: 'reply', value: { flight: encodeFlight(answer.flight), request: answer.request, confirmed: answer.confirmed } };
    case 'flights':
      return { $case: 'flights', value: { flights: answer.page.items.map(encodeFlight), next: answer.page.next ?? '' } };
    case 'deliveries':
      return {
        $case: 'deliveries',
        value: { deliveries: answer.page.items.map(encodeDelivery), next: answer.page.next ?? '' },
      };
  }
}

export function decodeAnswer(message: mesh.Answer['answer']): PeerAnswer {
  const answer = required(message, 'answer');
  switch (answer.$case) {
    case 'ping':
      return { type: 'ping', ...present({ nowMs: optionalWhole(answer.value.nowMs, 'ping.now_ms') }) };
    case 'reach':
      return { type: 'reach', reached: answer.value.reached, epoch: whole(answer.value.epoch, 'reach.epoch') };
    case 'dialBack':
      return {
        type: 'dial_back',
        results: list(answer.value.results, 'dial_back.results', mostAddresses).map(({ address, reached, why }) => ({
          address: name(address, 'dial_back.address'),
          reached,
          ...present({ why: optionalText(why, 'dial_back.why') }),
        })),
      };
    case 'rename':
    case 'renew': {
      const { leaf, issuer } = required(answer.value.chain, `${answer.$case}.chain`);
      return { type: answer.$case, chain: { leaf: bytes(leaf), issuer: bytes(issuer) } };
    }
    case 'issuerKey':
      return { type: 'issuer_key', offer: { publicKey: bytes(answer.value.publicKey), proof: bytes(answer.value.proof) } };
    case 'becomeIssuer':
      return { type: 'become_issuer' };
    case 'renewIssuer':
      return { type: 'renew_issuer' };
    case 'leave':
      return { type: 'leave' };
    case 'remove':
      return { type: 'remove', revocation: decodeSignedRecord(required(answer.value.revocation, 'remove.revocation')) };
    case 'revoked':
      return { type: 'revoked' };
    case 'registryDigest':
    case 'registryEntries':
    case 'registryRecords':
      return decodeRegistryAnswer(answer);
    case 'trace':
    case 'facts':
    case 'find':
    case 'report':
      return decodeObservationAnswer(answer);
    case 'standings':
      return {
        type: 'standings',
        standings: list(answer.value.standings, 'standings', mostItems).map((each) => ({
          invocationId: id(isInvocationId, each.invocationId, 'standing.invocation_id'),
          lastSeq: whole(each.lastSeq, 'standing.last_seq'),
          terminal: each.terminal,
        })),
      };
    case 'diff': {
      const { snapshot, summary, content } = answer.value;
      return { type: 'diff', snapshot: name(snapshot, 'diff.snapshot'), summary: decodeDiffSummary(required(summary, 'diff.summary')), bytes: bytes(content) };
    }
    case 'worktree': {
      const { isolation, tip } = answer.value;
      return { type: 'worktree', isolation: decodeIsolation(required(isolation, 'worktree.isolation')), ...present({ tip: optionalObjectName(tip, 'worktree.tip') }) };
    }
    case 'reply': {
      const { flight, request, confirmed } = answer.value;
      return { type: 'reply', flight: decodeFlight(required(flight, 'reply.flight')), request: text(request, 'reply.request', 100), confirmed };
    }
    case 'flights': {
      const items = list(answer.value.flights, 'flights', mostItems).map(decodeFlight);
      return { type: 'flights', page: { items, ...present({ next: optionalText(answer.value.next, 'next') }) } };
    }
    case 'deliveries': {
      const items = list(answer.value.deliveries, 'deliveries', mostItems).map(decodeDelivery);
      return { type: 'deliveries', page: { items, ...present({ next: optionalText(answer.value.next, 'next') }) } };
    }
  }
}

function settleOf({ state, tree, by }: wire.WorktreeQuery): { settle?: Settle } {
  if (worktreeState.optionalFromWire(state) === undefined) return {};
  return { settle: { ...decodeSettle(state, tree), by: name(by, 'worktree.by') } };
}

function page(limit: number, after: string): { limit: number; after?: string } {
  return { limit: Math.min(mostItems, Math.max(1, whole(limit, 'limit'))), ...present({ after: optionalText(after, 'after') }) };
}
