/** The listener for metrics, while the config asks for one: opened, moved and closed as it changes. The code for it is loaded when it is first asked for. */
import { toBrokerError } from '../domain/errors.ts';
import { formatHostPort, isLoopback, metricsPort, parseHostPort } from '../domain/host-port.ts';
import type { CancelTimer, Startable } from '../domain/ports.ts';
import type { MetricsListener } from '../metrics/listener.ts';
import type { LiveConfig } from './live-config.ts';
import { vitalsOf } from './vitals.ts';
import type { VitalsParts } from './vitals.ts';

export interface MeasuringParts extends VitalsParts {
  readonly config: Pick<LiveConfig, 'now' | 'onChange'>;
}

const retryMs = 30_000;

export class Measuring implements Startable {
  readonly #parts: MeasuringParts;
  #listener: MetricsListener | undefined;
  /** Where it listens, as it was asked for. */
  #at: string | undefined;
  #isRunning = false;
  #work: Promise<void> = Promise.resolve();
  #cancelRetry: CancelTimer = () => undefined;

  constructor(parts: MeasuringParts) {
    this.#parts = parts;
    parts.config.onChange((changed) => {
      if (changed.has('metrics_listen')) this.#schedule();
    });
  }

  /** A place that can't be had stops no node: it is said in the log, and tried again. */
  async start(): Promise<void> {
    this.#isRunning = true;
    this.#schedule();
    await this.#work;
  }

  async stop(): Promise<void> {
    this.#isRunning = false;
    this.#schedule();
    await this.#work;
  }

  #schedule(): void {
    this.#cancelRetry();
    this.#work = this.#work.then(() => this.#apply());
  }

  async #apply(): Promise<void> {
    const { config, clock, log } = this.#parts;
    const wish = this.#isRunning ? config.now.metricsListen : undefined;
    if (wish === this.#at) return;
    try {
      this.#at = undefined;
      await this.#listener?.close();
      if (wish === undefined) return;
      this.#listener ??= new (await import('../metrics/listener.ts')).MetricsListener({ vitals: () => vitalsOf(this.#parts), clock, log, onOverLimit: (limit) => this.#parts.measures.onOverLimit(limit) });
      const at = await this.#listener.listen(parseHostPort(wish, metricsPort));
      this.#at = wish;
      log.info({ address: formatHostPort(at) }, 'metrics are told at /metrics');
      if (!isLoopback(at)) log.warn({ address: formatHostPort(at) }, 'whoever can reach that address can read the metrics: names of nodes and agents, and how much they do');
    } catch (error) {
      log.error({ address: wish, code: toBrokerError(error).code, err: error }, 'metrics can not be told there; it is tried again');
      this.#cancelRetry = clock.setTimer(retryMs, () => this.#schedule());
    }
  }
}
