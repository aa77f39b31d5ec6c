/**
 * A node without a mesh, on a tailnet: it looks for one, enters it when exactly one would have it, asks the only one there is
 * to let it in, and says how to choose when there are several. It goes on looking for as long as it is alone.
 */
import { backoff } from '../domain/backoff.ts';
import type { DiscoverySource } from '../domain/discovery-port.ts';
import { BrokerError, toBrokerError } from '../domain/errors.ts';
import type { Random, Startable } from '../domain/ports.ts';
import { IssuerRefusal } from '../trust/issuer-call.ts';
import type { IssuerCall, KnownIssuer } from '../trust/issuer-call.ts';
import { chooseMesh, describeMesh } from './mesh-choice.ts';
import type { FoundMesh } from './mesh-choice.ts';
import { callTo, lookForMeshes, showIssuer } from './mesh-look.ts';
import type { LookParts } from './mesh-look.ts';

export interface SearchParts extends LookParts {
  readonly sources: readonly DiscoverySource[];
  readonly random: Random;
  readonly isMember: () => boolean;
  /** It left that mesh: it goes back by a person's wish only. */
  readonly hasLeft: (meshId: string) => boolean;
  /** @throws IssuerRefusal when it has to wait; any other error */
  readonly enter: (known: KnownIssuer, call: IssuerCall) => Promise<{ readonly meshName: string; readonly owner: string }>;
}

/** How long `start` waits: most often the node is in its mesh by then. */
const startMs = 5_000;
/** A new rule lets those in who wait within 10 s. */
const againMs = 4_000;
/** Issuers are looked for anew, also while one is waited for. */
const lookAgainMs = 60_000;
const aloneMs = { baseMs: 5_000, capMs: 300_000 } as const;
/** One look on behalf of a person who waits. */
const longestLookMs = 10_000;
/** A tailnet that is in motion tells of every change. */
const betweenLooksMs = 3_000;
/** Somebody who came by, and found this node alone, may be in a mesh. */
const knockMs = 15_000;

export class MeshSearch implements Startable {
  readonly #parts: SearchParts;
  readonly #releases: (() => void)[] = [];
  #stopping: AbortController | undefined;
  #running: Promise<void> | undefined;
  #wake: () => void = () => undefined;
  #lookedAtMs = Number.NEGATIVE_INFINITY;
  #note: string | undefined;

  constructor(parts: SearchParts) {
    this.#parts = parts;
  }

  /** What its owner should know: why this node is still alone, and what to do. */
  get note(): string | undefined {
    return this.#note;
  }

  /** Resolves when the first look is over, or takes long. */
  async start(): Promise<void> {
    const { clock, sources } = this.#parts;
    if (this.#stopping !== undefined || this.#parts.isMember()) return;
    this.#stopping = new AbortController();
    for (const source of sources) this.#releases.push(source.onChange(() => this.#wake()));
    const first = Promise.withResolvers<void>();
    this.#running = this.#run(this.#stopping.signal, first.resolve);
    const cancelTimer = clock.setTimer(startMs, first.resolve);
    await first.promise;
    cancelTimer();
  }

  async stop(): Promise<void> {
    for (const release of this.#releases.splice(0)) release();
    this.#stopping?.abort();
    this.#wake();
    await this.#running;
    this.#stopping = undefined;
  }

  /** Somebody wanted to speak to this node, and could not, since it is in no mesh. */
  knocked(): void {
    if (this.#parts.clock.monotonic() - this.#lookedAtMs > knockMs) this.#wake();
  }

  async #run(signal: AbortSignal, looked: () => void): Promise<void> {
    let waitingFor: FoundMesh | undefined;
    for (let inVain = 0; !signal.aborted && !this.#parts.isMember(); inVain += 1) {
      const { clock, random } = this.#parts;
      if (waitingFor === undefined || clock.monotonic() - this.#lookedAtMs > lookAgainMs) waitingFor = await this.#look(signal);
      if (waitingFor !== undefined && !signal.aborted && !this.#parts.isMember()) await this.#enter(waitingFor, signal);
      looked();
      if (this.#parts.isMember()) break;
      const isWoken = await this.#pause(waitingFor === undefined ? backoff(inVain, aloneMs, random()) + 1_000 : againMs, signal);
      if (!isWoken) continue;
      const soonMs = this.#lookedAtMs + betweenLooksMs - clock.monotonic();
      if (soonMs > 0) await this.#pause(soonMs, signal);
      inVain = 0;
      waitingFor = undefined;
    }
    looked();
  }

  /** The mesh to enter, or to ask; the note says why there is none. */
  async #look(signal: AbortSignal): Promise<FoundMesh | undefined> {
    const { clock, sources } = this.#parts;
    this.#lookedAtMs = clock.monotonic();
    const all = await lookForMeshes(sources.flatMap((source) => source.candidates()), this.#parts, signal);
    const found = all.filter(({ meshId }) => !this.#parts.hasLeft(meshId));
    const choice = chooseMesh(found);
    switch (choice.kind) {
      case 'none':
        this.#tell(undefined);
        return undefined;
      case 'one':
        return choice.mesh;
      case 'several':
        this.#tell(
          `${choice.meshes.length} meshes answer on the tailnet: ${choice.meshes.map(describeMesh).join(', ')}; choose one with a token: beckon mesh invite on a machine of it, then beckon mesh join TOKEN here`,
        );
        return undefined;
    }
  }

  /** At every issuer, so that each shows who waits; the first that lets it in is enough. Never rejects. */
  async #enter(mesh: FoundMesh, signal: AbortSignal): Promise<void> {
    const { enter, log } = this.#parts;
    for (const { known } of mesh.issuers.toSorted((a, b) => Number(b.isAdmissible) - Number(a.isAdmissible))) {
      if (signal.aborted || this.#parts.isMember()) return;
      try {
        const { meshName, owner } = await enter(known, callTo(showIssuer(known), this.#parts, signal));
        this.#note = undefined;
        log.info({ mesh: meshName, owner, peerId: known.nodeId, address: showIssuer(known) }, `entered the mesh ${describeMesh(mesh)} by the word of the tailnet`);
        return;
      } catch (error) {
        if (error instanceof IssuerRefusal) {
          const { message, hint } = error.error;
          this.#tell(`the mesh ${describeMesh(mesh)} was asked to let this machine in, and ${message}${hint === undefined ? '' : `; ${hint}`}`);
        } else {
          const { code, message, hint } = error instanceof BrokerError ? error : toBrokerError(error);
          const why = code === 'internal' && error instanceof Error ? error.message : message;
          this.#tell(`the mesh ${describeMesh(mesh)} could not be entered: ${why}${hint === undefined || code === 'internal' ? '' : `; ${hint}`}`);
        }
      }
    }
  }

  /** Once per change. */
  #tell(note: string | undefined): void {
    if (note !== undefined && note !== this.#note) this.#parts.log.warn({}, note);
    this.#note = note;
  }

  /** @returns whether something new ended it early */
  #pause(ms: number, signal: AbortSignal): Promise<boolean> {
    return new Promise((resolve) => {
      const end = (isWoken: boolean): void => {
        cancelTimer();
        this.#wake = () => undefined;
        resolve(isWoken);
      };
      const cancelTimer = this.#parts.clock.setTimer(ms, () => end(false));
      this.#wake = () => end(true);
      if (signal.aborted) end(false);
    });
  }
}

/** What answers now, for one who is about to make a mesh. Of a node that is down after a look of its own. */
export async function meshesToEnter(parts: LookParts | undefined, sources: readonly DiscoverySource[], isDown: boolean): Promise<readonly FoundMesh[]> {
  if (parts === undefined) return [];
  const { tailnet, clock } = parts;
  const late = new AbortController();
  const cancelTimer = clock.setTimer(longestLookMs, () => late.abort());
  try {
    if (isDown) {
      await tailnet.start();
      for (const source of sources) await source.start();
    }
    return await lookForMeshes(sources.flatMap((source) => source.candidates()), parts, late.signal);
  } finally {
    cancelTimer();
    if (isDown) {
      for (const source of sources) await source.stop();
      await tailnet.stop();
    }
  }
}
