/** Whether a node can do what it is there for, as those who watch over programs ask it (grpc.health.v1). */

/** `work`: it takes work and keeps what it takes. `network`: besides, other members can reach it. */
export type HealthSubject = 'work' | 'network';

export interface Health {
  /** Undefined when it is well, else why not. What was found within the last second counts; it answers within seconds. Never rejects. */
  check(subject: HealthSubject): Promise<string | undefined>;
  /** Now, and each time that well becomes unwell or back, until `signal` aborts. */
  watch(subject: HealthSubject, signal: AbortSignal): AsyncIterable<string | undefined>;
}
