/** Agents of this node: what others may know of them, and their endpoints, which stay here. */
import { BrokerError, notFound } from '../domain/errors.ts';
import type { Stamp } from '../domain/event.ts';
import type { Endpoint, Permissions } from '../domain/invocation.ts';
import type { AgentId } from '../domain/ids.ts';
import type { Registration, Visibility } from '../domain/registration.ts';
import type { Connection } from './connection.ts';
import type { GrowingNodeNumbers, NodeNumbers } from './caches.ts';
import type { FactTable } from './events.ts';
import { optional } from './flight-row.ts';
import type { QueueCounts } from './queue-counts.ts';

/** The columns that `agents` and `registrations` share. */
export interface RegistrationRow {
  readonly node: number;
  readonly address: string;
  readonly harness: string;
  readonly capabilities: string;
  readonly labels: string;
  readonly visibility: Visibility;
  readonly description: string;
  readonly is_default: 0 | 1;
  readonly available: 0 | 1;
  readonly unavailable_why: string | null;
}

export function registrationOf(row: RegistrationRow, nodes: NodeNumbers): Registration {
  return {
    address: row.address,
    nodeId: nodes.idOf(row.node),
    harness: row.harness,
    capabilities: JSON.parse(row.capabilities) as string[],
    labels: JSON.parse(row.labels) as Record<string, string>,
    visibility: row.visibility,
    description: row.description,
    isDefault: row.is_default === 1,
    available: row.available === 1,
    ...optional('unavailableWhy', row.unavailable_why),
  };
}

/** In the order of `RegistrationRow`. */
export function registrationValues(each: Registration, node: number) {
  return [
    node, each.address, each.harness, JSON.stringify(each.capabilities), JSON.stringify(each.labels), each.visibility,
    each.description, each.isDefault ? 1 : 0, each.available ? 1 : 0, each.unavailableWhy ?? null,
  ] as const;
}

interface EndpointRow {
  readonly id: AgentId;
  readonly address: string;
  readonly harness: string;
  readonly cwd: string;
  readonly argv: string;
  readonly env: string;
  readonly path: string;
  readonly permissions: Permissions;
  readonly isolate: 0 | 1;
  readonly concurrency: number | null;
  readonly queue: number | null;
  readonly top: string | null;
  readonly entry: string | null;
  readonly repository: string | null;
  readonly device: number | null;
}

function endpointOf(row: EndpointRow): Endpoint {
  const { top, entry, repository, device } = row;
  const isLinked = top !== null && entry !== null && repository !== null && device !== null;
  return {
    agentId: row.id,
    address: row.address,
    harness: row.harness,
    cwd: row.cwd,
    argv: JSON.parse(row.argv) as string[],
    env: JSON.parse(row.env) as string[],
    path: row.path,
    permissions: row.permissions,
    isolate: row.isolate === 1,
    ...optional('concurrency', row.concurrency),
    ...optional('queue', row.queue),
    ...(isLinked ? { checkout: { top, entry, repository, device } } : {}),
  };
}

export function agentReads(db: Connection, nodes: NodeNumbers) {
  const endpoints = `
    SELECT a.id, e.*, c.top, c.entry, c.repository, c.device
    FROM agent_endpoints e JOIN agents a ON a.address = e.address LEFT JOIN agent_checkouts c ON c.address = e.address`;
  const one = db.prepare<[string], EndpointRow>(`${endpoints} WHERE e.address = ?`);
  const all = db.prepare<[], EndpointRow>(`${endpoints} ORDER BY e.address`);
  const registration = db.prepare<[string], RegistrationRow>('SELECT * FROM agents WHERE address = ?');
  const registrations = db.prepare<[], RegistrationRow>('SELECT * FROM agents ORDER BY address');
  return {
    endpoint(address: string): Endpoint | undefined {
      const row = one.get(address);
      return row === undefined ? undefined : endpointOf(row);
    },
    endpoints: (): Endpoint[] => all.all().map(endpointOf),
    registration(address: string): Registration | undefined {
      const row = registration.get(address);
      return row === undefined ? undefined : registrationOf(row, nodes);
    },
    registrations: (): Registration[] => registrations.all().map((row) => registrationOf(row, nodes)),
  };
}

export class AgentTable {
  readonly #nodes: GrowingNodeNumbers;
  readonly #facts: FactTable;
  readonly #queues: QueueCounts;
  readonly #reads;
  readonly #insert;
  readonly #insertEndpoint;
  readonly #insertCheckout;
  readonly #update;
  readonly #updateEndpoint;
  readonly #remove;
  readonly #setAvailability;

  constructor(db: Connection, { nodes, facts, queues }: { readonly nodes: GrowingNodeNumbers; readonly facts: FactTable; readonly queues: QueueCounts }) {
    this.#nodes = nodes;
    this.#facts = facts;
    this.#queues = queues;
    this.#reads = agentReads(db, nodes);
    this.#insert = db.prepare(`
      INSERT INTO agents (node, address, harness, capabilities, labels, visibility, description, is_default, available,
        unavailable_why, id, added_at_ms)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`);
    this.#insertEndpoint = db.prepare(`
      INSERT INTO agent_endpoints (address, harness, cwd, argv, env, path, permissions, isolate, concurrency, queue) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`);
    this.#insertCheckout = db.prepare('INSERT INTO agent_checkouts (address, top, entry, repository, device) VALUES (?, ?, ?, ?, ?)');
    this.#update = db.prepare(`
      UPDATE agents SET harness = ?, capabilities = ?, labels = ?, visibility = ?, description = ?, is_default = ?, available = ?, unavailable_why = ?
      WHERE address = ?`);
    this.#updateEndpoint = db.prepare(`
      UPDATE agent_endpoints SET harness = ?, cwd = ?, argv = ?, env = ?, path = ?, permissions = ?, isolate = ?, concurrency = ?, queue = ? WHERE address = ?`);
    this.#remove = db.prepare<[string]>('DELETE FROM agents WHERE address = ?');
    this.#setAvailability = db.prepare<[number, string | null, string]>('UPDATE agents SET available = ?, unavailable_why = ? WHERE address = ?');
  }

  add({ stamp, endpoint, registration }: { stamp: Stamp; endpoint: Endpoint; registration: Registration }): { added: boolean } {
    const { address } = registration;
    const [known, knownEndpoint] = [this.#reads.registration(address), this.#reads.endpoint(address)];
    if (known !== undefined && knownEndpoint !== undefined) {
      if (asked(known, knownEndpoint) === asked(registration, endpoint)) return { added: false };
      throw new BrokerError('conflict', `${address} exists already and differs`, {
        hint: 'see beckon agent show, or remove it first: beckon agent rm',
        detail: { address },
      });
    }
    this.#insert.run(...registrationValues(registration, this.#nodes.of(registration.nodeId)), endpoint.agentId, stamp.atMs);
    this.#insertEndpoint.run(
      address, endpoint.harness, endpoint.cwd, JSON.stringify(endpoint.argv), JSON.stringify(endpoint.env), endpoint.path,
      endpoint.permissions, endpoint.isolate ? 1 : 0, endpoint.concurrency ?? null, endpoint.queue ?? null,
    );
    this.#queues.forget(address);
    const { checkout } = endpoint;
    if (checkout !== undefined) this.#insertCheckout.run(address, checkout.top, checkout.entry, checkout.repository, checkout.device);
    this.#facts.append(stamp, 'agent.added', { detail: { address, harness: registration.harness } });
    return { added: true };
  }

  /** The same agent, run otherwise from now on: it keeps its id, its place and its sessions. */
  replace({ endpoint, registration: each }: { endpoint: Endpoint; registration: Registration }): void {
    const { address } = each;
    this.#update.run(
      each.harness, JSON.stringify(each.capabilities), JSON.stringify(each.labels), each.visibility, each.description, each.isDefault ? 1 : 0,
      each.available ? 1 : 0, each.unavailableWhy ?? null, address,
    );
    this.#updateEndpoint.run(
      endpoint.harness, endpoint.cwd, JSON.stringify(endpoint.argv), JSON.stringify(endpoint.env), endpoint.path, endpoint.permissions,
      endpoint.isolate ? 1 : 0, endpoint.concurrency ?? null, endpoint.queue ?? null, address,
    );
    this.#queues.forget(address);
  }

  /** @throws BrokerError `not_found` */
  remove(stamp: Stamp, address: string, why?: string): void {
    if (this.#remove.run(address).changes === 0) throw notFound(`no agent ${address} on this node`);
    this.#queues.forget(address);
    this.#facts.append(stamp, 'agent.removed', { detail: { address, ...(why === undefined ? {} : { why }) } });
  }

  setAvailability({ address, available, why }: { address: string; available: boolean; why?: string }): void {
    const { changes } = this.#setAvailability.run(available ? 1 : 0, available ? null : (why ?? null), address);
    if (changes === 0) throw notFound(`no agent ${address} on this node`);
  }
}

/** What a person asked for, and not what was found (availability, PATH) or given (the id) at the time. */
function asked(registration: Registration, endpoint: Endpoint): string {
  const labels = Object.entries(registration.labels).toSorted(([a], [b]) => (a < b ? -1 : 1));
  const { capabilities, visibility, description, isDefault, nodeId } = registration;
  const { harness, cwd, argv, env, permissions, isolate, concurrency, queue } = endpoint;
  return JSON.stringify([nodeId, capabilities.toSorted(), labels, visibility, description, isDefault, harness, cwd, argv, env, permissions, isolate, concurrency, queue]);
}
