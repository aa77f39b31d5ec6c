/**
 * The tailnet of this machine, watched: the bus of tailscaled says when to look again, a slow look beside it says so too,
 * and what it looks at is always a whole status. A daemon that is not there yet, ends or starts again is found again. Where
 * the daemon can't be asked the `tailscale` program is, every minute or two.
 */
import type { Duplex } from 'node:stream';
import { backoff } from '../../domain/backoff.ts';
import { toBrokerError, unavailable } from '../../domain/errors.ts';
import type { BrokerError } from '../../domain/errors.ts';
import type { HostPort } from '../../domain/host-port.ts';
import { pause } from '../../domain/pause.ts';
import type { CancelTimer, Clock, Log, Random, Startable } from '../../domain/ports.ts';
import type { TailnetIdentity, TailnetStatus, TailnetView } from '../../domain/tailnet.ts';
import { TailscaleCommand } from './command-line.ts';
import { LocalApi, notRunning } from './local-api.ts';
import { findPlaces } from './place.ts';
import type { LocalApiPlace } from './place.ts';

export interface TailnetOptions {
  /** Where tailscaled usually is, or at this socket and nowhere else. */
  readonly at: 'usual' | { readonly socket: string };
  readonly platform: NodeJS.Platform;
  readonly uid: number;
  /** For the `tailscale` program. */
  readonly searchPath: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/** Notices come in bunches: one look for what came within this. */
const settleMs = 100;
/** A look without a notice: uniform between these. */
const reconcileMs = { least: 60_000, most: 120_000 } as const;
/** Between two tries to find a daemon, or to watch one again. */
const retryMs = { baseMs: 250, capMs: 30_000 } as const;
/** How long `start` waits for the first answer. */
const firstLookMs = 3_000;

interface Daemon {
  status(options: { readonly signal: AbortSignal }): Promise<TailnetStatus>;
  whois(remote: HostPort, signal?: AbortSignal): Promise<TailnetIdentity | undefined>;
}

export class Tailnet implements Startable {
  readonly #options: TailnetOptions;
  readonly #listeners = new Set<() => void>();
  readonly #lookListeners = new Set<() => void>();
  #view: TailnetView = { kind: 'unknown' };
  #shown = '';
  #daemon: Daemon | undefined;
  #api: LocalApi | undefined;
  #stopping: AbortController | undefined;
  #running: Promise<void> | undefined;
  #cancelSettle: CancelTimer | undefined;
  #looking: Promise<void> | undefined;
  #lookAgain = false;
  #askedCommandAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: TailnetOptions) {
    this.#options = options;
  }

  get view(): TailnetView {
    return this.#view;
  }

  /** Called after each change of the view. @returns what ends it */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Called after each look, also one that saw nothing new: of what a status does not show, a policy say, there may be news. @returns what ends it */
  onLook(listener: () => void): () => void {
    this.#lookListeners.add(listener);
    return () => void this.#lookListeners.delete(listener);
  }

  /** Resolves when there is a first answer, or none came soon. Never rejects: no tailnet is no fault. */
  async start(): Promise<void> {
    if (this.#stopping !== undefined) return;
    const stopping = new AbortController();
    this.#stopping = stopping;
    const { signal } = stopping;
    const waited = new AbortController();
    const looked = Promise.withResolvers<void>();
    this.#running = this.#run(signal, looked.resolve);
    await Promise.race([looked.promise, pause(this.#options.clock, firstLookMs, AbortSignal.any([signal, waited.signal]))]);
    waited.abort();
    if (this.#view.kind === 'unknown') this.#see({ kind: 'absent', why: 'tailscaled does not answer' });
  }

  async stop(): Promise<void> {
    this.#stopping?.abort();
    this.#cancelSettle?.();
    await this.#running;
    await this.#looking;
    this.#stopping = undefined;
    this.#running = undefined;
  }

  /**
   * Who is at the other end of a connection; undefined for nobody of the tailnet.
   * @throws BrokerError `unavailable` when the tailnet can't be asked, or is not up
   */
  whois(remote: HostPort, signal?: AbortSignal): Promise<TailnetIdentity | undefined> {
    if (this.#daemon === undefined) return Promise.reject(this.#unavailable());
    return this.#daemon.whois(remote, signal);
  }

  /** A connection through tailscaled. @throws BrokerError `unavailable` */
  dial(address: HostPort, options: { readonly timeoutMs: number; readonly signal: AbortSignal }): Promise<Duplex> {
    if (this.#api === undefined) return Promise.reject(this.#unavailable());
    return this.#api.dial(address, options);
  }

  /** Looks now. Resolves when the view is as new as this call. */
  async look(): Promise<void> {
    while (this.#looking !== undefined) await this.#looking;
    await this.#refresh();
  }

  async #run(signal: AbortSignal, looked: () => void): Promise<void> {
    const { clock, random, log } = this.#options;
    for (let failures = 0; !signal.aborted; failures += 1) {
      const api = await this.#find(signal);
      looked();
      if (api !== undefined) {
        const startMs = clock.monotonic();
        const why = await this.#follow(api, signal);
        if (signal.aborted) return;
        log.debug({ why }, 'the watch of the tailnet ended');
        // Not up any more, or about to be: the next look says which.
        if (clock.monotonic() - startMs > retryMs.capMs) failures = 0;
      }
      await pause(clock, backoff(failures, retryMs, random()), signal);
    }
  }

  /** A daemon that answers and can be watched; the view says what it answered, or why there is none. */
  async #find(signal: AbortSignal): Promise<LocalApi | undefined> {
    const { at, platform, uid, clock } = this.#options;
    const places: readonly LocalApiPlace[] = at === 'usual' ? await findPlaces(platform, uid) : [{ kind: 'socket', path: at.socket }];
    const errors: BrokerError[] = [];
    for (const place of places) {
      if (place.kind === 'socket' && place.distrusted !== undefined) {
        errors.push(unavailable(place.distrusted, 'if it is yours all the same, name it: beckon up --tailscale SOCKET'));
        continue;
      }
      const api = new LocalApi({ place, clock });
      try {
        const status = await api.status({ signal });
        this.#daemon = api;
        this.#api = api;
        this.#took(status);
        return api;
      } catch (error) {
        errors.push(toBrokerError(error));
      }
    }
    this.#api = undefined;
    if (!signal.aborted) await this.#askCommand(errors, signal);
    return undefined;
  }

  /** The daemon is there but not for us, or not where we look: its own program may know how to ask. */
  async #askCommand(errors: readonly BrokerError[], signal: AbortSignal): Promise<void> {
    const { at, searchPath, clock, random } = this.#options;
    // The reason that a person can do something about, rather than that there is no daemon at all.
    const error = errors.find(({ message }) => !message.startsWith('no tailscaled here')) ?? errors[0];
    const nowMs = clock.monotonic();
    if (nowMs - this.#askedCommandAtMs < reconcileMs.least + random() * (reconcileMs.most - reconcileMs.least)) return;
    this.#askedCommandAtMs = nowMs;
    const command = new TailscaleCommand({ searchPath, ...(at === 'usual' ? {} : { socket: at.socket }) });
    try {
      const status = await command.status({ signal });
      this.#daemon = command;
      this.#took(status);
    } catch (thrown) {
      this.#daemon = undefined;
      this.#failed(error ?? toBrokerError(thrown));
    }
  }

  /** Watches until the daemon ends it. @returns why it ended */
  async #follow(api: LocalApi, signal: AbortSignal): Promise<string> {
    const { clock, random } = this.#options;
    let cancelReconcile: CancelTimer = () => undefined;
    const reconcile = (): void => {
      cancelReconcile = clock.setTimer(reconcileMs.least + random() * (reconcileMs.most - reconcileMs.least), () => {
        void this.#refresh();
        reconcile();
      });
    };
    reconcile();
    try {
      for await (const { isChange } of api.watch(signal)) if (isChange) this.#lookSoon();
      return 'it ended';
    } catch (error) {
      return toBrokerError(error).message;
    } finally {
      cancelReconcile();
    }
  }

  #lookSoon(): void {
    this.#cancelSettle ??= this.#options.clock.setTimer(settleMs, () => {
      this.#cancelSettle = undefined;
      void this.#refresh();
    });
  }

  /** Never rejects. One at a time: what comes meanwhile is looked at once more afterwards. */
  #refresh(): Promise<void> {
    if (this.#looking !== undefined) {
      this.#lookAgain = true;
      return this.#looking;
    }
    this.#looking = this.#lookOnce().finally(() => {
      this.#looking = undefined;
      if (!this.#lookAgain) return;
      this.#lookAgain = false;
      void this.#refresh();
    });
    return this.#looking;
  }

  async #lookOnce(): Promise<void> {
    const { signal } = this.#stopping ?? {};
    if (signal === undefined || signal.aborted || this.#daemon === undefined) return;
    try {
      this.#took(await this.#daemon.status({ signal }));
    } catch (error) {
      if (!signal.aborted) this.#failed(toBrokerError(error));
    }
  }

  #took(status: TailnetStatus): void {
    if (status.state === 'Running') return this.#see({ kind: 'up', status });
    const { message, hint } = notRunning(status.state);
    this.#see({ kind: 'down', state: status.state, why: message, ...(hint === undefined ? {} : { hint }) });
  }

  #failed({ message, hint }: BrokerError): void {
    this.#see({ kind: 'absent', why: message, ...(hint === undefined ? {} : { hint }) });
  }

  #see(view: TailnetView): void {
    this.#compare(view);
    for (const listener of this.#lookListeners) listener();
  }

  #compare(view: TailnetView): void {
    const shown = JSON.stringify(view);
    if (shown === this.#shown) return;
    this.#shown = shown;
    const before = this.#view.kind;
    this.#view = view;
    if (before !== view.kind) this.#options.log.info({ from: before, to: view.kind }, view.kind === 'up' ? 'the tailnet is up' : 'why' in view ? view.why : 'the tailnet is not known');
    for (const listener of this.#listeners) listener();
  }

  #unavailable(): BrokerError {
    const view = this.#view;
    return view.kind === 'absent' || view.kind === 'down' ? unavailable(view.why, view.hint) : unavailable('no tailscaled was found yet');
  }
}
