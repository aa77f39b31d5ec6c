/** What any gRPC server of a node offers besides its own service: its health, and what can be called. */
import type { Server } from '@grpc/grpc-js';
import type { Health, HealthSubject } from '../domain/health-port.ts';
import { HealthService } from '../gen/grpc/health/v1/health.ts';
import type { Edge } from './handler.ts';
import { healthHandlers } from './health.ts';
import { reflectionDefinition, reflectionHandler, reflectionServices } from './reflection.ts';

const healthService = 'grpc.health.v1.Health';

/** Nothing among it tells more than the program's own files do, and the one word whether the node is well. */
export const introspectionPaths: readonly string[] = [...Object.values(HealthService).map(({ path }) => path), ...reflectionServices.map((service) => reflectionDefinition(service).serverReflectionInfo.path)];

export interface IntrospectionParts<Caller> {
  readonly edge: Edge<Caller>;
  readonly health: Health;
  /** The services of that server, and those that it can tell the health of, by full name. */
  readonly services: readonly string[];
  readonly subjects: Readonly<Record<string, HealthSubject>>;
  readonly stopping: AbortSignal;
  /** Held while a call lasts. */
  readonly hold?: (caller: Caller) => Disposable;
}

export function addIntrospection<Caller>(server: Server, { edge, health, services, subjects, stopping, hold }: IntrospectionParts<Caller>): void {
  server.addService(HealthService, healthHandlers({ edge, health, subjects: { '': 'work', ...subjects }, stopping, hold }));
  const handler = reflectionHandler({ edge, services: [...services, healthService, ...reflectionServices], hold });
  for (const service of reflectionServices) server.addService(reflectionDefinition(service), { serverReflectionInfo: handler });
}
