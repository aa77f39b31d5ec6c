/** Health checking as gRPC defines it: https://github.com/grpc/grpc/blob/master/doc/health-checking.md */
import { notFound } from '../domain/errors.ts';
import type { Health, HealthSubject } from '../domain/health-port.ts';
import { HealthCheckResponse_ServingStatus as Serving } from '../gen/grpc/health/v1/health.ts';
import type { HealthCheckResponse, HealthServer } from '../gen/grpc/health/v1/health.ts';
import { serverStream, unary } from './handler.ts';
import type { Edge } from './handler.ts';

export interface HealthParts<Caller> {
  readonly edge: Edge<Caller>;
  readonly health: Health;
  /** What can be asked for, and what that is about; `''` is the server as a whole. */
  readonly subjects: Readonly<Record<string, HealthSubject>>;
  /** Ends those that watch. */
  readonly stopping: AbortSignal;
  /** Held while a call lasts. */
  readonly hold?: ((caller: Caller) => Disposable) | undefined;
}

export function healthHandlers<Caller>({ edge, health, subjects, stopping, hold }: HealthParts<Caller>): HealthServer {
  const subjectOf = (service: string): HealthSubject | undefined => (Object.hasOwn(subjects, service) ? subjects[service] : undefined);
  return {
    check: unary(edge, async (caller, { service }) => {
      using _ = hold?.(caller);
      const subject = subjectOf(service);
      if (subject === undefined) throw notFound('this server has no service of that name');
      return toResponse(await health.check(subject));
    }),
    list: unary(edge, async (caller) => {
      using _ = hold?.(caller);
      const found = await Promise.all(Object.entries(subjects).map(async ([service, subject]) => [service, toResponse(await health.check(subject))] as const));
      return { statuses: Object.fromEntries(found) };
    }),
    watch: serverStream(edge, async function* (caller, { service }, gone) {
      using _ = hold?.(caller);
      const signal = AbortSignal.any([gone, stopping]);
      const subject = subjectOf(service);
      if (subject === undefined) {
        yield { status: Serving.SERVICE_UNKNOWN };
        await aborted(signal);
      } else {
        for await (const why of health.watch(subject, signal)) yield toResponse(why);
      }
    }),
  };
}

function toResponse(why: string | undefined): HealthCheckResponse {
  return { status: why === undefined ? Serving.SERVING : Serving.NOT_SERVING };
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
