/** The local API on a unix socket that only this user can open. */
import { Server, ServerCredentials } from '@grpc/grpc-js';
import { chmod } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { Server as Listener } from 'node:net';
import type { BrokerApi, LocalCaller } from '../broker/api.ts';
import type { Audit } from '../domain/audit.ts';
import type { ConfigView } from '../domain/config-view.ts';
import { BrokerError } from '../domain/errors.ts';
import type { Health } from '../domain/health-port.ts';
import type { OverLimit } from '../domain/limits.ts';
import type { Clock, Log, Startable } from '../domain/ports.ts';
import type { ServedAgents } from '../domain/serving-port.ts';
import { ControlServiceService } from '../gen/beckon/v1/control.ts';
import type { Edge } from '../rpc/handler.ts';
import { addIntrospection } from '../rpc/introspection.ts';
import { authenticate } from './authenticate.ts';
import { controlHandlers } from './handlers.ts';
import { TaskRoom } from '../rpc/task-room.ts';
import { largeTasks } from './large-tasks.ts';
import { serveService } from './serve.ts';
import { tellingOf } from './refused-callers.ts';
import { claimSocketPath, removeSocket } from './socket-path.ts';

/** A task of 16 MiB and all that goes with it. */
const maxMessageBytes = 20 * 1024 * 1024;
/** Each command and each process that serves or calls has one; a program that goes on opening them is cut off here, and not by what the system allows the node. */
const mostConnections = 1_000;
/** What `stop` gives to calls that are about to end, so that their last word gets out. */
const graceMs = 2_000;

export interface ControlServerParts {
  readonly api: BrokerApi;
  readonly served: ServedAgents;
  readonly socketPath: string;
  readonly uid: number;
  readonly clock: Clock;
  readonly log: Log;
  /** What is set for this node. */
  readonly config: () => Promise<ConfigView>;
  readonly health: Health;
  readonly onOverLimit?: OverLimit;
  /** `mostConnections` when left out. */
  readonly mostConnections?: number;
  readonly audit?: Pick<Audit, 'refused'>;
}

export class ControlServer implements Startable {
  readonly #parts: ControlServerParts;
  #server: Server | undefined;
  #listener: Listener | undefined;
  #stopping = new AbortController();

  constructor(parts: ControlServerParts) {
    this.#parts = parts;
  }

  /** @throws BrokerError of `claimSocketPath` */
  async start(): Promise<void> {
    if (this.#server !== undefined) return;
    const { api, served, socketPath, uid, log, health } = this.#parts;
    this.#stopping = new AbortController();
    const stopping = this.#stopping.signal;
    await claimSocketPath(socketPath, uid);
    const server = new Server({
      'grpc.max_receive_message_length': maxMessageBytes,
      'grpc.max_send_message_length': maxMessageBytes,
      // One connection a command, many commands: none of them may end another's.
      'grpc.max_concurrent_streams': 10_000,
      interceptors: [largeTasks({ room: new TaskRoom(), mostBytes: maxMessageBytes, clock: this.#parts.clock })],
    });
    const edge: Edge<LocalCaller> = {
      authenticate: tellingOf({ clock: this.#parts.clock, log }, authenticate(uid, api, this.#parts.audit)),
      onFault: (error, path) => log.error({ err: error.cause ?? error, call: path }, 'a control call failed'),
    };
    server.addService({ ...ControlServiceService, serve: serveService }, controlHandlers(api, edge, { served, stopping, config: this.#parts.config }));
    addIntrospection(server, { edge, health, services: ['beckon.v1.ControlService'], subjects: { 'beckon.v1.ControlService': 'work', 'beckon.v1.MeshService': 'network' }, stopping });
    const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
    const listener = createServer((socket) => injector.injectConnection(socket));
    listener.maxConnections = this.#parts.mostConnections ?? mostConnections;
    listener.on('drop', () => this.#parts.onOverLimit?.('control_connections'));
    try {
      await bind(listener, socketPath);
      await chmod(socketPath, 0o600);
    } catch (error) {
      listener.close();
      server.forceShutdown();
      throw new BrokerError('unavailable', `the control socket ${socketPath} can’t be opened`, { hint: 'set BECKON_HOME to a directory of your own', cause: error });
    }
    listener.on('error', (error) => log.warn({ err: error }, 'a control connection could not be accepted'));
    this.#server = server;
    this.#listener = listener;
  }

  /** Ends every call that is still open after two seconds, so that who waits for an answer that is there gets it on a busy machine too; what they followed goes on. */
  async stop(): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    this.#server = undefined;
    // These never end by themselves.
    this.#stopping.abort();
    const cancel = this.#parts.clock.setTimer(graceMs, () => server.forceShutdown());
    // That all connections are over the listener knows; the server, which does not listen, does not wait for them.
    const closed = new Promise<void>((resolve) => void this.#listener?.close(() => resolve()));
    server.tryShutdown(() => undefined);
    await closed;
    cancel();
    server.forceShutdown();
    await removeSocket(this.#parts.socketPath);
  }
}

function bind(listener: Listener, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    listener.once('error', reject);
    listener.listen(path, () => {
      listener.off('error', reject);
      resolve();
    });
  });
}
