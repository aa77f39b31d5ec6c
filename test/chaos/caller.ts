/**
 * One caller of one node: asks for work, loses answers, asks again under the same key, cancels, lets go, and writes
 * down all that it is told. It stops asking at `load` and stops altogether at `patience`.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { BrokerError } from '../../src/client/index.ts';
import type { FlightUpdate, InvokeRequest, NodeClient } from '../../src/client/index.ts';
import { requestOf } from '../support/asking.ts';
import { agentKinds } from './agents.ts';
import type { AgentKind } from './agents.ts';
import type { ChaosNode } from './chaos-node.ts';
import type { Dice } from './dice.ts';
import type { CallNote } from './notes.ts';

export interface CallerParts {
  readonly node: ChaosNode;
  readonly nodes: readonly string[];
  readonly dice: Dice;
  /** All notes of the campaign: its own are added. */
  readonly notes: CallNote[];
  /** Aborts when no new work is to be asked for. */
  readonly load: AbortSignal;
  /** Aborts when even answers that are owed are not waited for any longer. */
  readonly patience: AbortSignal;
}

type Style = 'detach' | 'watch' | 'hang up';

export class Caller {
  readonly #parts: CallerParts;
  #client: NodeClient | undefined;
  readonly #aside = new Set<Promise<void>>();

  constructor(parts: CallerParts) {
    this.#parts = parts;
  }

  /** Resolves when all that it asked for has ended, as far as it was told. */
  async run(): Promise<void> {
    const { dice, load, patience } = this.#parts;
    while (!load.aborted) {
      await this.#once();
      await pause(dice.between(100, 700), load);
    }
    while (this.#aside.size > 0 && !patience.aborted) await Promise.all(this.#aside);
    this.#client?.close();
  }

  async #once(): Promise<void> {
    const { dice, notes, patience } = this.#parts;
    const note = this.#newNote();
    notes.push(note);
    const style = dice.pick<Style>(['detach', 'detach', 'watch', 'watch', 'hang up']);
    const wantsCancel = dice.chance(0.1);
    const cancelAfterMs = dice.between(0, 1500);
    const hangUpMs = dice.between(0, 40);
    const wantsProbe = note.key !== undefined && dice.chance(0.15);
    const wantsAgain = note.key !== undefined && dice.chance(0.3);
    await this.#ask(note, style, hangUpMs);
    // A key's answer is worth asking for until it comes.
    while (note.key !== undefined && note.answers.length === 0 && note.refusals.length === 0 && !patience.aborted) {
      await pause(200, patience);
      await this.#ask(note, 'detach', 0);
    }
    if (wantsAgain && note.answers.length > 0) await this.#ask(note, 'detach', 0);
    if (wantsProbe && note.answers.length > 0) await this.#probe(note);
    const [answer] = note.answers;
    if (answer === undefined) return;
    if (wantsCancel) this.#goOn(this.#cancel(note, answer.flightId, cancelAfterMs));
    this.#goOn(this.#follow(note, answer.flightId));
  }

  #newNote(): CallNote {
    const { node, nodes, dice, notes } = this.#parts;
    const kind = dice.pick<AgentKind>([...agentKinds, 'quick', 'quick', 'quick', 'slow']);
    // One in five megabytes is plenty for all.
    const chosen = kind === 'big' && dice.chance(0.7) ? 'quick' : kind;
    const owner = dice.pick(nodes);
    const id = notes.length;
    const mark = `m${id}-${node.name}`;
    const nap = (dice.between(3, 60) / 100).toFixed(2);
    return {
      id,
      origin: node.name,
      owner,
      target: `@${chosen}@${owner}#main`,
      kind: chosen,
      mark,
      task: `${nap} ${mark}\n`,
      key: dice.chance(0.7) ? `k-${mark}` : undefined,
      rerunnable: dice.chance(0.15),
      noHold: dice.chance(0.07),
      holdMs: dice.chance(0.12) ? dice.between(500, 5000) : undefined,
      answers: [],
      lost: 0,
      refusals: [],
      seen: new Map(),
      wasReceived: false,
      finished: undefined,
      cancel: undefined,
      probe: undefined,
    };
  }

  async #ask(note: CallNote, style: Style, hangUpMs: number): Promise<void> {
    const { patience } = this.#parts;
    const before = note.answers.length;
    const over = new AbortController();
    const signal = AbortSignal.any([patience, over.signal]);
    const timer = style === 'hang up' ? setTimeout(() => over.abort(), hangUpMs) : undefined;
    try {
      const client = await this.#connected();
      for await (const update of client.invoke(asNoted(note, note.task, style === 'detach'), { signal })) take(note, update);
    } catch (error) {
      this.#failed(note, error, before);
    } finally {
      clearTimeout(timer);
    }
    if (note.answers.length === before && note.refusals.length === 0) note.lost += 1;
  }

  /** The same key for another task: a conflict, and nothing else. */
  async #probe(note: CallNote): Promise<void> {
    const mark = `probe-${note.mark}`;
    try {
      const client = await this.#connected();
      for await (const update of client.invoke(asNoted(note, `0.01 ${mark}\n`, true))) {
        if (update.type === 'accepted') note.probe = { mark, code: 'accepted' };
      }
    } catch (error) {
      const code = codeOf(error);
      if (code !== 'unavailable') note.probe = { mark, code };
    }
  }

  async #cancel(note: CallNote, flightId: string, afterMs: number): Promise<void> {
    await pause(afterMs, this.#parts.patience);
    try {
      const client = await this.#connected();
      const { confirmed } = await client.cancelFlight(flightId, 0);
      note.cancel = confirmed ? 'confirmed' : 'asked';
    } catch (error) {
      const code = codeOf(error);
      // It had ended, or nobody heard the wish: either way there is nothing to remember.
      if (code !== 'conflict' && code !== 'unavailable') note.refusals.push(`cancel: ${code}`);
    }
  }

  /** To the end, through all that happens to the node. */
  async #follow(note: CallNote, flightId: string): Promise<void> {
    const { patience } = this.#parts;
    while (note.finished === undefined && !patience.aborted) {
      try {
        const client = await this.#connected();
        const afterSeq = Math.max(0, ...note.seen.keys());
        for await (const update of client.follow(flightId, { signal: patience, afterSeq })) take(note, update, false);
      } catch (error) {
        const code = codeOf(error);
        if (code !== 'unavailable') {
          note.refusals.push(`follow: ${code}`);
          return;
        }
      }
      if (note.finished === undefined) await pause(300, patience);
    }
  }

  #failed(note: CallNote, error: unknown, before: number): void {
    const code = codeOf(error);
    if (note.answers.length > before) return;
    // The node went away, or can't take it now: no answer to what was asked.
    if (code !== 'unavailable') note.refusals.push(code);
  }

  #goOn(work: Promise<void>): void {
    const tracked = work.finally(() => this.#aside.delete(tracked));
    this.#aside.add(tracked);
  }

  async #connected(): Promise<NodeClient> {
    this.#client ??= await this.#parts.node.client();
    return this.#client;
  }
}

function asNoted({ target, key, holdMs, noHold, rerunnable }: CallNote, task: string, detach: boolean): InvokeRequest {
  return requestOf(target, task, { ...(key === undefined ? {} : { key }), ...(holdMs === undefined ? {} : { holdMs }), noHold, rerunnable, detach });
}

/** @param isAnswer whether `accepted` is the answer to a call, and not the beginning of a story told again */
function take(note: CallNote, update: FlightUpdate, isAnswer = true): void {
  switch (update.type) {
    case 'accepted':
      if (isAnswer) note.answers.push({ invocationId: update.invocationId, flightId: update.flightId, deduplicated: update.deduplicated });
      return;
    case 'received':
      note.wasReceived = true;
      return;
    case 'event': {
      const { seq, body } = update.event;
      note.seen.set(seq, { seq, kind: body.kind, bytes: body.kind === 'output' ? body.bytes.length : 0 });
      return;
    }
    case 'finished':
      note.finished = { state: update.flight.state, invocationId: update.flight.invocationId };
      return;
    case 'held':
      return;
  }
}

function codeOf(error: unknown): string {
  if (error instanceof BrokerError) return error.code;
  throw error;
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await Promise.race([delay(ms), new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))]);
}
