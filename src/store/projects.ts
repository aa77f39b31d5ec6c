/** Projects that a person approved, the agents kept for them, and why agents are gone that were there. */
import { formatAddress, parseAddress } from '../domain/address.ts';
import { conflict, notFound } from '../domain/errors.ts';
import type { Stamp } from '../domain/event.ts';
import type { Project, ProjectDefinition, ProjectInstance, ProjectWords } from '../domain/project.ts';
import type { Act } from '../domain/audit.ts';
import type { AgentTable } from './agents.ts';
import type { AuditTable } from './audit.ts';
import type { Connection } from './connection.ts';
import type { FactTable } from './events.ts';
import type { Input } from './protocol.ts';

const unlistedForMs = 30 * 86_400_000;
/** Of those that are gone, so many are remembered. */
const mostUnlisted = 4096;

interface ProjectRow {
  readonly root: string;
  readonly definition: string;
  readonly words: string;
  readonly words_hash: string;
  readonly is_repository: 0 | 1;
  readonly path: string;
  readonly left_out: string;
  readonly approved_at_ms: number;
  readonly approved_by: string;
}

function projectOf(row: ProjectRow): Project {
  return {
    root: row.root,
    definition: JSON.parse(row.definition) as ProjectDefinition,
    words: JSON.parse(row.words) as ProjectWords,
    wordsHash: row.words_hash,
    isRepository: row.is_repository === 1,
    path: row.path,
    leftOut: JSON.parse(row.left_out) as string[],
    approvedAtMs: row.approved_at_ms,
    approvedBy: row.approved_by,
  };
}

export function projectReads(db: Connection) {
  const all = db.prepare<[], ProjectRow>('SELECT * FROM projects ORDER BY root');
  const one = db.prepare<[string], ProjectRow>('SELECT * FROM projects WHERE root = ?');
  const instances = db.prepare<[string], ProjectInstance>('SELECT address, root, top FROM project_instances WHERE root = ? ORDER BY address');
  const instance = db.prepare<[string], ProjectInstance>('SELECT address, root, top FROM project_instances WHERE address = ?');
  const why = db.prepare<[string], { why: string }>('SELECT why FROM unlisted_agents WHERE address = ?');
  return {
    projects: (): Project[] => all.all().map(projectOf),
    project(root: string): Project | undefined {
      const row = one.get(root);
      return row === undefined ? undefined : projectOf(row);
    },
    instancesOf: (root: string): ProjectInstance[] => instances.all(root),
    projectInstance: (address: string): ProjectInstance | undefined => instance.get(address),
    unlistedWhy: (address: string): string | undefined => why.get(nodeless(address))?.why,
  };
}

export class ProjectTable {
  readonly #facts: FactTable;
  readonly #agents: AgentTable;
  readonly #audit: AuditTable;
  readonly #reads;
  readonly #save;
  readonly #leaveOut;
  readonly #forget;
  readonly #insertInstance;
  readonly #forgetInstances;
  readonly #unlist;
  readonly #relist;
  readonly #age;

  constructor(db: Connection, { facts, agents, audit }: { readonly facts: FactTable; readonly agents: AgentTable; readonly audit: AuditTable }) {
    this.#audit = audit;
    this.#facts = facts;
    this.#agents = agents;
    this.#reads = projectReads(db);
    this.#save = db.prepare(`
      INSERT INTO projects (root, definition, words, words_hash, is_repository, path, left_out, approved_at_ms, approved_by)
      VALUES (?, ?, ?, ?, ?, ?, '[]', ?, ?)
      ON CONFLICT (root) DO UPDATE SET definition = excluded.definition, words = excluded.words, words_hash = excluded.words_hash,
        is_repository = excluded.is_repository, path = excluded.path, left_out = '[]', approved_at_ms = excluded.approved_at_ms,
        approved_by = excluded.approved_by`);
    this.#leaveOut = db.prepare<[string, string]>("UPDATE projects SET left_out = json_insert(left_out, '$[#]', ?) WHERE root = ?");
    this.#forget = db.prepare<[string]>('DELETE FROM projects WHERE root = ?');
    this.#insertInstance = db.prepare<[string, string, string]>('INSERT INTO project_instances (address, root, top) VALUES (?, ?, ?)');
    this.#forgetInstances = db.prepare<[string]>('DELETE FROM project_instances WHERE address = ?');
    this.#unlist = db.prepare<[string, string, number]>('INSERT OR REPLACE INTO unlisted_agents (address, why, at_ms) VALUES (?, ?, ?)');
    this.#relist = db.prepare<[string]>('DELETE FROM unlisted_agents WHERE address = ?');
    this.#age = [
      db.prepare<[number]>('DELETE FROM unlisted_agents WHERE at_ms < ?'),
      db.prepare<[number]>('DELETE FROM unlisted_agents WHERE address IN (SELECT address FROM unlisted_agents ORDER BY at_ms DESC LIMIT -1 OFFSET ?)'),
    ] as const;
  }

  save({ stamp, act, project: { root, definition, words, wordsHash, isRepository, path, approvedBy } }: Input<'saveProject'>): void {
    this.#save.run(root, JSON.stringify(definition), JSON.stringify(words), wordsHash, isRepository ? 1 : 0, path, stamp.atMs, approvedBy);
    this.#facts.append(stamp, 'project.approved', { detail: { root, name: definition.name, harness: definition.harness, by: approvedBy } });
    const { name, harness, permissions } = definition;
    this.#audit.append(stamp, { kind: 'project.approved', about: { root, name, harness, permissions } }, act ?? { who: { is: 'user', id: approvedBy }, from: { via: 'socket' } });
  }

  /** @throws BrokerError `not_found` for an unknown project, `conflict` when the address is somebody else's */
  put({ stamp, root, top, endpoint, registration }: Input<'putInstance'>): void {
    if (this.#reads.project(root) === undefined) throw notFound(`no project ${root} is approved here`);
    const { address } = registration;
    const known = this.#reads.projectInstance(address);
    if (known === undefined) {
      if (!this.#agents.add({ stamp, endpoint, registration }).added) throw conflict(`${address} was added by hand`, 'remove it first: beckon agent rm');
      this.#insertInstance.run(address, root, top);
      this.#relist.run(nodeless(address));
    } else if (known.root === root && known.top === top) {
      this.#agents.replace({ endpoint, registration });
    } else {
      throw conflict(`${address} is an instance of ${known.root}`);
    }
  }

  /** Before its agent goes. By hand: its worktree gets none again by itself; a project without any is no longer approved. */
  unlisted({ stamp, act, address, why, isByHand = false }: Input<'removeAgent'>): void {
    if (why !== undefined) this.#remember(stamp.atMs, address, why);
    const instance = this.#reads.projectInstance(address);
    if (instance === undefined) return;
    this.#forgetInstances.run(address);
    if (!isByHand) return;
    if (this.#reads.instancesOf(instance.root).length === 0) this.forget({ stamp, act, root: instance.root });
    else this.#leaveOut.run(instance.top, instance.root);
  }

  #remember(atMs: number, address: string, why: string): void {
    this.#age[0].run(atMs - unlistedForMs);
    this.#unlist.run(nodeless(address), why, atMs);
    this.#age[1].run(mostUnlisted);
  }

  /** Its instances are gone already. @throws BrokerError `not_found` */
  forget({ stamp, act, root, why }: { readonly stamp: Stamp; readonly act?: Act | undefined; readonly root: string; readonly why?: string }): void {
    if (this.#forget.run(root).changes === 0) throw notFound(`no project ${root} is approved here`);
    this.#facts.append(stamp, 'project.forgotten', { detail: { root } });
    this.#audit.append(stamp, { kind: 'project.forgotten', about: { root, ...(why === undefined ? {} : { why }) } }, act);
  }

  instancesOf(root: string): readonly string[] {
    return this.#reads.instancesOf(root).map(({ address }) => address);
  }

  relisted(address: string): void {
    this.#relist.run(nodeless(address));
  }
}

/** A node may get another name meanwhile. */
function nodeless(address: string): string {
  const { agent, workspace } = parseAddress(address);
  return formatAddress({ agent, ...(workspace === undefined ? {} : { workspace }) });
}
