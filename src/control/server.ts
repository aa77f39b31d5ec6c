/** The local API on a unix socket that only this user can open. */
import { Server, ServerCredentials } from '@grpc/grpc-js';
import { chmod } from 'node:fs/promises';
import type { BrokerApi, LocalCaller } from '../broker/api.ts';
import type { Audit } from '../domain/audit.ts';
import type { ConfigView } from '../domain/config-view.ts';
import { BrokerError } from '../domain/errors.ts';
import type { Health } from '../domain/health-port.ts';
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
import { claimSocketPath, removeSocket } from './socket-path.ts';

/** A task of 16 MiB and all that goes with it. */
const maxMessageBytes = 20 * 1024 * 1024;
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
  readonly audit?: Pick<Audit, 'refused'>;
}

export class ControlServer implements Startable {
  readonly #parts: ControlServerParts;
  #server: Server | undefined;
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
      interceptors: [largeTasks(new TaskRoom(), maxMessageBytes)],
    });
    const edge: Edge<LocalCaller> = {
      authenticate: authenticate(uid, api, this.#parts.audit),
      onFault: (error, path) => log.error({ err: error.cause ?? error, call: path }, 'a control call failed'),
    };
    server.addService({ ...ControlServiceService, serve: serveService }, controlHandlers(api, edge, { served, stopping, config: this.#parts.config }));
    addIntrospection(server, { edge, health, services: ['beckon.v1.ControlService'], subjects: { 'beckon.v1.ControlService': 'work', 'beckon.v1.MeshService': 'network' }, stopping });
    try {
      await bind(server, socketPath);
      await chmod(socketPath, 0o600);
    } catch (error) {
      server.forceShutdown();
      throw new BrokerError('unavailable', `the control socket ${socketPath} can't be opened`, { hint: 'set BECKON_HOME to a directory of your own', cause: error });
    }
    this.#server = server;
  }

  /** Ends every call that is still open after two seconds, so that who waits for an answer that is there gets it on a busy machine too; what they followed goes on. */
  async stop(): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    this.#server = undefined;
    // These never end by themselves.
    this.#stopping.abort();
    await new Promise<void>((resolve) => {
      const cancel = this.#parts.clock.setTimer(graceMs, () => server.forceShutdown());
      server.tryShutdown(() => {
        cancel();
        resolve();
      });
    });
    server.forceShutdown();
    await removeSocket(this.#parts.socketPath);
  }
}

function bind(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.bindAsync(`unix:${path}`, ServerCredentials.createInsecure(), (error) => (error === null ? resolve() : reject(error)));
  });
}
