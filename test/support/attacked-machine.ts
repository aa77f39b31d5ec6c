/** One real node in a mesh of its own, attacked by what runs on its machine: agents, files, other programs, other users. */
import { execFileSync } from 'node:child_process';
import { connect } from '../../src/client/connect.ts';
import type { GrpcNodeClient } from '../../src/client/grpc-client.ts';
import type { AgentSpec, InvokeRequest, NodeClient } from '../../src/client/types.ts';
import type { FlightId } from '../../src/domain/ids.ts';
import { accepted, requestOf, specOf } from './asking.ts';
import { expectOwed, toldByError } from './attack.ts';
import type { Stored, Told, Victim } from './attack.ts';
import { Cluster } from './cluster.ts';
import type { NodePlace, TestNode, UpOptions } from './node-process.ts';
import { waitFor } from './wait-for.ts';

const task = 'what its user asks of it meanwhile';

/** A flight that runs for as long as the test wants, and what its processes hold. */
export interface HeldFlight {
  readonly flightId: FlightId;
  readonly token: string;
  readonly environment: Readonly<Record<string, string>>;
}

export class AttackedMachine implements AsyncDisposable {
  readonly cluster: Cluster;
  readonly victim: TestNode;
  /** Answers what it is asked. */
  readonly echo: string;
  readonly #clients: NodeClient[] = [];
  readonly #person: NodeClient;
  #held = 0;

  private constructor(cluster: Cluster, victim: TestNode, echo: string, person: NodeClient) {
    this.cluster = cluster;
    this.victim = victim;
    this.echo = echo;
    this.#person = person;
  }

  static async start({ place = {}, up = {}, before = () => Promise.resolve() }: { place?: Partial<NodePlace>; up?: UpOptions; before?: (node: TestNode) => Promise<void> } = {}): Promise<AttackedMachine> {
    const cluster = await Cluster.create();
    try {
      const victim = await cluster.node('victim', place);
      cluster.atEnd(() => expectOwed(victim));
      await before(victim);
      await victim.up(up);
      const person = await connect({ socketPath: victim.socketPath });
      await person.createMesh({ name: 'home', new: true });
      const echo = await add(person, cluster.directory, 'echo', ['cat']);
      return new AttackedMachine(cluster, victim, echo, person);
    } catch (error) {
      await cluster[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** As its user has it. */
  get person(): NodeClient {
    return this.#person;
  }

  readonly attacked = (): Victim => ({ node: this.victim, serves: () => this.serves() });

  /** @throws unless a call of its own agent completes with what it was given */
  async serves(): Promise<void> {
    const { state, output } = await this.ask(this.echo, task);
    if (state !== 'completed' || output !== task) throw new Error(`the call ended ${state}: ${output.slice(0, 100)}`);
  }

  add(name: string, argv: readonly string[], more: Partial<AgentSpec> = {}): Promise<string> {
    return add(this.#person, this.cluster.directory, name, argv, more);
  }

  /** Its answer, when it has ended. */
  async ask(address: string, text: string | Uint8Array, more: Partial<InvokeRequest> = {}, client: NodeClient = this.#person): Promise<{ flightId: FlightId; state: string; output: string; words: string; code: string | undefined }> {
    let flightId = '' as FlightId;
    for await (const update of client.invoke(requestOf(address, text, more))) {
      if (update.type === 'accepted') ({ flightId } = update);
      if (update.type !== 'finished') continue;
      const { state, error } = update.flight;
      return { flightId, state, output: new TextDecoder().decode(update.output), words: error?.message ?? '', code: error?.code };
    }
    throw new Error('the call had no end');
  }

  /** Accepted, and left to itself. */
  async begin(address: string, text = '', more: Partial<InvokeRequest> = {}, client: NodeClient = this.#person): Promise<FlightId> {
    return (await accepted(client, requestOf(address, text, more))).flightId;
  }

  /** With the token of a process of a flight. */
  async asFlight(token: string): Promise<GrpcNodeClient> {
    const client = await connect({ socketPath: this.victim.socketPath, flightToken: token });
    this.#clients.push(client);
    return client as GrpcNodeClient;
  }

  /** An agent that says what its environment is, and stays until `release`. */
  async hold(): Promise<HeldFlight & { readonly release: () => Promise<void> }> {
    this.#held += 1;
    const pipe = this.cluster.path(`held-${this.#held}`);
    execFileSync('mkfifo', [pipe]);
    const address = await this.add(`held${this.#held}`, ['/bin/sh', '-c', `env -0; exec cat ${pipe}`]);
    const flightId = await this.begin(address);
    const environment = await waitFor('the environment of the agent', async () => {
      const text = await this.output(flightId);
      return text.includes('BECKON_TOKEN=') && text.endsWith('\0') ? Object.fromEntries(text.split('\0').map((each) => [each.slice(0, each.indexOf('=')), each.slice(each.indexOf('=') + 1)])) : undefined;
    });
    const release = async (): Promise<void> => {
      execFileSync('sh', ['-c', 'exec 3<>"$0"; echo done > "$0"', pipe]);
      await this.#person.cancelFlight(flightId, 10_000).catch((error: unknown) => error);
      await waitFor('the flight to be over', async () => ['completed', 'cancelled'].includes((await this.#person.getFlight(flightId)).flight.state));
    };
    return { flightId, token: environment['BECKON_TOKEN'] ?? '', environment, release };
  }

  async output(flightId: FlightId): Promise<string> {
    const pieces: Uint8Array[] = [];
    for await (const piece of this.#person.output(flightId, 'stdout')) pieces.push(piece);
    return Buffer.concat(pieces).toString();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of [this.#person, ...this.#clients]) client.close();
    await this.cluster[Symbol.asyncDispose]();
  }
}

/** How each of these was refused. */
export async function toldByAll(calls: readonly (() => Promise<unknown>)[]): Promise<Told[]> {
  const told: Told[] = [];
  for (const [index, call] of calls.entries()) {
    told.push(await toldByError(call()).catch((error: unknown) => Promise.reject(new Error(`call ${index}, ${String(call).slice(0, 200)}`, { cause: error }))));
  }
  return told;
}

export async function all<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const found: Item[] = [];
  for await (const item of items) found.push(item);
  return found;
}

/** What the record of a call has, for cases in which one is made and is to be seen. */
export function theCall(why: string, most = 12): Stored[] {
  return ['invocations', 'flights', 'flight_counts', 'flight_events', 'deliveries', 'delivery_attempts', 'events', 'payloads', 'payload_files', 'stored_sum', 'flight_processes', 'idempotency', 'replies', 'agent_sessions', 'large_bytes'].map((table) => ({ table, why, most: 2 * most }));
}

async function add(client: NodeClient, cwd: string, name: string, argv: readonly string[], more: Partial<AgentSpec> = {}): Promise<string> {
  const { agent } = await client.addAgent(specOf({ name, workspace: 'main', cwd, argv, ...more }));
  return agent.registration.address;
}
