/** Keeps the network port where it is to listen: fixed, or on the addresses of the tailnet as they come and change. */
import type { Tailnet } from '../discovery/tailscale/tailnet.ts';
import { toBrokerError } from '../domain/errors.ts';
import type { BrokerError } from '../domain/errors.ts';
import { formatHostPort, isLoopback, listenElsewhere } from '../domain/host-port.ts';
import type { HostPort } from '../domain/host-port.ts';
import { pause } from '../domain/pause.ts';
import type { CancelTimer, Clock, Log, Startable } from '../domain/ports.ts';
import type { Ends, Front } from '../trust/front.ts';
import { planListening, reachableAddresses } from './listen.ts';
import type { ListenPlan } from './listen.ts';

export interface ListeningParts {
  readonly front: Pick<Front, 'start' | 'listenOn' | 'addresses' | 'stop'>;
  /** Undefined: on the tailnet, or on this machine alone. */
  readonly fixed: readonly HostPort[] | undefined;
  readonly tailnet: Pick<Tailnet, 'view' | 'onChange' | 'whois'> | undefined;
  /** Others can reach this node elsewhere than before; not called for the first place. */
  readonly onMoved?: () => void;
  readonly clock: Clock;
  readonly log: Log;
  /** `meshPort` when left out. */
  readonly port?: number;
}

/** How long a node that starts waits for its tailnet: at boot both start at once. */
const bootMs = 5_000;
const retryMs = { baseMs: 500, capMs: 30_000 } as const;
/** A connection may be here before tailscaled knows of it. */
const unknownTries = 4;
const unknownMs = 250;

export class Listening implements Startable {
  readonly #parts: ListeningParts;
  #plan: ListenPlan = { bind: [], isGuarded: false };
  #release: (() => void) | undefined;
  #cancelRetry: CancelTimer = () => undefined;
  #applying: Promise<void> = Promise.resolve();
  #isRunning = false;
  /** In a row that left an address out: IPv6 may be off. */
  #tries = 0;
  /** Where it was last, when it was anywhere. */
  #place = '';

  constructor(parts: ListeningParts) {
    this.#parts = parts;
  }

  /** @throws BrokerError as `Front.start` does */
  async start(): Promise<void> {
    if (this.#isRunning) return;
    this.#isRunning = true;
    const { front, fixed, tailnet } = this.#parts;
    if (fixed !== undefined) return void (await front.start(fixed));
    await this.#settled();
    await this.#first();
    this.#release = tailnet?.onChange(() => this.#changed());
    // What changed meanwhile.
    this.#changed();
  }

  async stop(): Promise<void> {
    this.#isRunning = false;
    this.#release?.();
    this.#cancelRetry();
    await this.#applying;
    await this.#parts.front.stop();
  }

  /** Where others can reach this node; none before `start`. */
  addresses(): readonly HostPort[] {
    const bound = this.#parts.front.addresses();
    return bound.length === 0 ? [] : (this.#plan.reachable ?? reachableAddresses(bound));
  }

  /** On loopback, for what tailscaled brings there. */
  get isGuarded(): boolean {
    return this.#plan.isGuarded;
  }

  /** What its owner should know: that it can't be reached from others, and what to do about it. */
  note(): string | undefined {
    const addresses = this.addresses();
    if (addresses.length === 0 || !addresses.every(isLoopback)) return undefined;
    const { why } = this.#plan;
    if (why === undefined || this.#parts.tailnet === undefined) return `it listens on this machine only: to be reached from others, ${listenElsewhere}`;
    return `it listens on this machine only: ${why}; start Tailscale, and it moves there by itself, or ${listenElsewhere}`;
  }

  /** For `Front.vet`: behind a tailscaled without a network interface only what came through it may come in. */
  async vet({ remote }: Ends): Promise<string | undefined> {
    const { tailnet, clock } = this.#parts;
    if (!this.#plan.isGuarded || tailnet === undefined) return undefined;
    try {
      for (let tries = 1; tries <= unknownTries; tries += 1) {
        if ((await tailnet.whois(remote)) !== undefined) return undefined;
        await pause(clock, unknownMs);
      }
      return 'it did not come through the tailnet';
    } catch (error) {
      return `whether it came through the tailnet can't be asked: ${toBrokerError(error).message}`;
    }
  }

  /** Resolves when the tailnet is up, or it is clear that it will not be soon. */
  async #settled(): Promise<void> {
    const { tailnet, clock } = this.#parts;
    const isStarting = (): boolean => tailnet?.view.kind === 'down' && (tailnet.view.state === 'Starting' || tailnet.view.state === 'NoState');
    if (tailnet === undefined || !isStarting()) return;
    await new Promise<void>((resolve) => {
      const end = (): void => {
        release();
        cancelTimer();
        resolve();
      };
      const release = tailnet.onChange(() => {
        if (!isStarting()) end();
      });
      const cancelTimer = clock.setTimer(bootMs, end);
    });
  }

  /** The tailnet may know its addresses before this machine has them. @throws BrokerError when nothing can be listened on */
  async #first(): Promise<void> {
    const { clock, front } = this.#parts;
    const untilMs = clock.monotonic() + bootMs;
    for (;;) {
      const failures = await this.#apply();
      if (front.addresses().length > 0) return;
      const failure = failures.find(({ code }) => code === 'conflict') ?? failures[0];
      if (failure?.code === 'conflict' || (failure !== undefined && clock.monotonic() >= untilMs)) throw failure;
      await pause(clock, retryMs.baseMs);
    }
  }

  #changed(): void {
    this.#cancelRetry();
    this.#applying = this.#applying.then(async () => {
      if (!this.#isRunning) return;
      const failures = await this.#apply();
      this.#tries = failures.length === 0 ? 0 : this.#tries + 1;
      const afterMs = Math.min(retryMs.capMs, retryMs.baseMs * 2 ** (this.#tries - 1));
      if (failures.length > 0) this.#cancelRetry = this.#parts.clock.setTimer(afterMs, () => this.#changed());
    });
  }

  async #apply(): Promise<readonly BrokerError[]> {
    const { front, tailnet, log, port, onMoved } = this.#parts;
    const wasUp = this.#plan.reachable !== undefined || (this.#plan.bind.length > 0 && this.#plan.why === undefined);
    // A tailnet that is gone for a while comes back with the same addresses.
    if (wasUp && tailnet?.view.kind !== 'up') return [];
    const plan = planListening(tailnet?.view, port);
    const before = this.addresses().map(formatHostPort).join(', ');
    const failures = await front.listenOn(plan.bind);
    this.#plan = plan;
    const after = this.addresses().map(formatHostPort).join(', ');
    if (before !== after) log.info({ from: before, to: after }, 'the network port has moved');
    if (after !== '' && after !== this.#place) {
      const isFirst = this.#place === '';
      this.#place = after;
      if (!isFirst) onMoved?.();
    }
    return failures.map(({ error }) => error);
  }
}
