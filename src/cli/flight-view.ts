/** A flight as it goes: the answer on stdout, the rest on stderr; or one JSON object a line. */
import { parseAddress } from '../domain/address.ts';
import { formatDuration } from '../domain/duration.ts';
import { BrokerError } from '../domain/errors.ts';
import type { FlightEventBody } from '../domain/flight-event.ts';
import type { Flight } from '../domain/records.ts';
import { neutralise } from '../domain/text.ts';
import type { FlightUpdate } from '../client/types.ts';
import type { WorktreeStart } from '../domain/worktree.ts';
import type { Context } from './context.ts';
import { bytesFields, errorDocument, outputFields } from './json.ts';
import { isoTime, localTime } from './output.ts';
import type { Output } from './output.ts';
import { ProgressLines } from './progress-lines.ts';
import { isOfAgent } from './exit.ts';
import { commandsFor, promptLines } from './requests.ts';
import { StatusLine } from './status-line.ts';
import { TerminalText } from './terminal-text.ts';

export interface ViewOptions {
  /** Nothing on stderr but errors and the agent's own words. */
  readonly quiet: boolean;
  /** Control sequences reach the terminal. */
  readonly raw: boolean;
  /** Each line says already whose it is. */
  readonly isOfGroup?: boolean;
}

type Accepted = Extract<FlightUpdate, { type: 'accepted' }>;
type Finished = Extract<FlightUpdate, { type: 'finished' }>;

export class FlightView {
  readonly #context: Context;
  readonly #options: ViewOptions;
  readonly #texts = { stdout: new TerminalText(), stderr: new TerminalText() };
  readonly #progress = new ProgressLines();
  readonly #status: StatusLine;
  #target = '';
  #flightId = '';
  #wasHeld = false;
  #worktree: WorktreeStart | undefined;

  constructor(context: Context, options: ViewOptions) {
    this.#context = context;
    this.#options = options;
    this.#status = new StatusLine(context);
  }

  /** @throws ReaderGone */
  async show(update: FlightUpdate): Promise<void> {
    if (this.#context.out.isJson) await this.#document(update);
    else await this.#words(update);
  }

  async #document(update: FlightUpdate): Promise<void> {
    const { out } = this.#context;
    switch (update.type) {
      case 'accepted': {
        return await out.event('accepted', acceptedFields(update), update.atMs);
      }
      case 'held':
        return await out.event('held', { why: update.why, until: isoTime(update.untilMs) }, update.atMs);
      case 'received':
        return await out.event('received', { node: update.nodeName, nodeId: update.nodeId }, update.atMs);
      case 'event':
        return await this.#eventDocument(update.event.body, update.event.seq, update.atMs);
      case 'finished':
        return await out.event('finished', finishedFields(update), update.atMs);
    }
  }

  async #eventDocument(body: FlightEventBody, seq: number, atMs: number): Promise<void> {
    const { out } = this.#context;
    switch (body.kind) {
      case 'started':
        return await out.event('started', { seq, run: body.run, ...(body.session === undefined ? {} : { session: body.session }), ...(body.worktree === undefined ? {} : { isolation: body.worktree }) }, atMs);
      case 'requeued':
        return await out.event('requeued', { seq, run: body.run }, atMs);
      case 'output':
        return await out.event('output', { seq, stream: body.stream, ...bytesFields(body.bytes) }, atMs);
      case 'waiting': {
        const { reason, request, prompt, choices, untilMs } = body;
        const until = untilMs === undefined ? {} : { until: isoTime(untilMs) };
        return await out.event('waiting', { seq, reason, request, prompt, choices, ...until }, atMs);
      }
      case 'resumed':
        return await out.event('resumed', { seq }, atMs);
      case 'tool':
      case 'plan':
      case 'diff':
      case 'thought':
      case 'usage': {
        const { kind, ...rest } = body;
        return await out.event(kind, { seq, ...rest }, atMs);
      }
      case 'unknown':
        return await out.event('unknown', { seq }, atMs);
      case 'finished':
        // The update of that name says it, with what the origin made of it.
        return;
    }
  }

  async #words(update: FlightUpdate): Promise<void> {
    switch (update.type) {
      case 'accepted':
        this.#target = update.target;
        this.#flightId = update.flightId;
        if (this.#options.isOfGroup === true) return this.note(update.invocationId);
        this.note(`${update.target}  ${update.invocationId}${update.deduplicated ? '  (accepted before with this key: following that one)' : ''}`);
        tellNotes(this.#context.out, update);
        return;
      case 'held':
        this.#wasHeld = true;
        this.note(`waiting for ${nodeOf(this.#target)}: ${update.why}; held until ${localTime(update.untilMs)}`);
        return;
      case 'received':
        if (this.#wasHeld) this.note(`received by ${update.nodeName}`);
        return this.#says(`queued on ${update.nodeName}`);
      case 'event':
        return await this.#eventWords(update.event.body);
      case 'finished':
        this.close();
        await this.#flush();
        this.#closing(update.flight);
    }
  }

  async #eventWords(body: FlightEventBody): Promise<void> {
    switch (body.kind) {
      case 'started':
        this.#worktree = body.worktree;
        if (this.#wasHeld) this.note('started');
        if (body.worktree !== undefined && body.worktree.dirty > 0) this.note(`in a worktree of its own at ${body.worktree.head.slice(0, 12)}, without ${body.worktree.dirty} changed or untracked ${body.worktree.dirty === 1 ? 'file' : 'files'} of the project`);
        return this.#says(`at work on ${nodeOf(this.#target)}`);
      case 'output':
        return await this.#output(body.stream, body.bytes);
      case 'waiting':
        // Someone has to act: said even with --quiet.
        this.#status.set(undefined);
        this.breakLine();
        return this.#asks(body);
      case 'resumed':
        this.note('resumed');
        return this.#says(`at work on ${nodeOf(this.#target)}`);
      case 'tool':
      case 'plan':
      case 'diff':
      case 'thought':
      case 'usage':
        for (const line of this.#progress.of(body)) this.note(line);
        return;
      case 'unknown':
        return;
      case 'requeued':
        this.note(`its node restarted in the middle of it: run ${body.run} begins`);
        return;
      case 'finished':
        return;
    }
  }

  #asks(waiting: Extract<FlightEventBody, { kind: 'waiting' }>): void {
    const { out } = this.#context;
    const { red, green, dim } = out.noteColours;
    const [first = '', ...rest] = promptLines(waiting);
    out.note(neutralise(`waiting for ${waiting.reason}: ${first}`));
    for (const line of rest) out.note(`  ${neutralise(line)}`);
    const wanted = waiting.reason === 'approval' ? this.#progress.takeWanted() : [];
    for (const line of wanted) {
      const paint = line.startsWith('-') ? red : line.startsWith('+') ? green : dim;
      out.note(`    ${paint(neutralise(line))}`);
    }
    for (const command of commandsFor(this.#flightId, waiting)) out.note(`  ${command}`);
  }

  #says(words: string): void {
    if (!this.#options.quiet && !this.#options.raw) this.#status.set(words);
  }

  async #output(stream: 'stdout' | 'stderr', bytes: Uint8Array): Promise<void> {
    const { out, host } = this.#context;
    this.#status.clear();
    const content = host.tty[stream] && !this.#options.raw ? this.#texts[stream].push(bytes) : bytes;
    if (stream === 'stdout') await out.write(content);
    else await out.writeError(content);
    if (this.#texts.stdout.endsLine && this.#texts.stderr.endsLine) this.#status.rest();
  }

  /** What was held back of an unfinished character, and the end of the last line. */
  async #flush(): Promise<void> {
    const { out, host } = this.#context;
    if (this.#options.raw) return;
    const { stdout, stderr } = this.#texts;
    if (host.tty.stderr) await out.writeError(stderr.end() + (stderr.endsLine ? '' : '\n'));
    if (host.tty.stdout) await out.write(stdout.end() + (stdout.endsLine ? '' : '\n'));
  }

  #closing(flight: Flight): void {
    const { out, host } = this.#context;
    const usage = this.#progress.closing();
    if (usage !== undefined) this.note(usage);
    tellFailure(out, flight);
    if (this.#worktree !== undefined && flight.startedAtMs !== undefined) this.note(`its work: beckon flight diff ${flight.id.slice(-6)}; then flight fetch or discard ${flight.id.slice(-6)}`);
    if (flight.state === 'completed' && host.tty.stderr) {
      const tookMs = (flight.finishedAtMs ?? flight.acceptedAtMs) - flight.acceptedAtMs;
      this.note(`completed in ${formatDuration(tookMs)}`);
    }
  }

  /** A line for the person who watches. */
  note(text: string): void {
    const { out } = this.#context;
    if (this.#options.quiet || out.isJson) return;
    this.breakLine();
    out.note(out.dim(neutralise(text)));
    this.#status.rest();
  }

  /** Nobody watches any more. */
  close(): void {
    this.#status.set(undefined);
  }

  /** Nothing else begins in the middle of a line of the answer, where both are on one screen. */
  breakLine(): void {
    const { out, host } = this.#context;
    const { stdout } = this.#texts;
    this.#status.clear();
    if (!host.tty.stdout || !host.tty.stderr || this.#options.raw || stdout.endsLine) return;
    out.note('');
    stdout.lineWasEnded();
  }
}

/** What a command that leaves at once prints: the invocation's id alone, or the document. */
export async function tellAccepted(out: Output, update: Accepted, quiet = false): Promise<void> {
  const { invocationId, target, deduplicated } = update;
  if (out.isJson) return await out.event('accepted', acceptedFields(update), update.atMs);
  if (!quiet) out.note(out.dim(`${target}${deduplicated ? '  (accepted before)' : ''}`));
  tellNotes(out, update);
  await out.line(invocationId);
}

function acceptedFields({ invocationId, flightId, target, deduplicated, notes }: Accepted): object {
  return { invocationId, flightId, target, deduplicated, ...(notes === undefined ? {} : { notes }) };
}

/** Said even with --quiet: what was asked for will not happen. */
function tellNotes(out: Output, { notes = [] }: Accepted): void {
  for (const note of notes) out.note(`${out.noteColours.yellow('warning:')} ${neutralise(note)}`);
}

export function finishedFields({ flight, output, truncated }: Finished): Record<string, unknown> {
  return {
    state: flight.state,
    ...outputFields(output, truncated),
    ...(flight.exitCode === undefined ? {} : { exitCode: flight.exitCode }),
    ...(flight.signal === undefined ? {} : { signal: flight.signal }),
    ...(flight.ended === undefined ? {} : { ended: flight.ended }),
    ...(flight.error === undefined ? {} : { error: errorDocument(flight.error) }),
  };
}

/** Says on stderr how a flight that did not complete ended; nothing when it did, or goes on. */
export function tellFailure(out: Output, flight: Flight): void {
  const failure = failureOf(flight);
  if (failure === undefined) return;
  // Someone wanted it so.
  if (flight.state === 'cancelled') out.note(neutralise(failure.message));
  else out.error(failure);
}

/** Why a flight that is over did not complete, in a line for people; undefined when it did. */
export function failureOf(flight: Flight): BrokerError | undefined {
  const look = `beckon flight show ${flight.id.slice(-6)}`;
  const { error } = flight;
  const words = (message: string, hint = look): BrokerError => new BrokerError(error?.code ?? 'internal', message, { ...error, hint: error?.hint ?? hint });
  const because = error === undefined ? '' : `: ${error.message}`;
  switch (flight.state) {
    case 'failed':
      if (error !== undefined) return words(isOfAgent(flight) ? `the agent failed: ${error.message}` : error.message);
      if (flight.signal !== undefined) return words(`the agent died of ${flight.signal}`);
      return words(`the agent failed${flight.exitCode === undefined ? '' : `: it exited with ${flight.exitCode}`}`);
    case 'cancelled':
      return words(`cancelled${flight.ended === undefined || flight.ended === 0 ? '' : `; processes ended: ${flight.ended}`}`);
    case 'expired':
      return words(`expired, never started${because}`, 'give it longer with --hold, or see beckon peers');
    case 'indeterminate':
      return words(`indeterminate, it may have run${because}`, `see what it did before you invoke it again: ${look}`);
    case 'completed':
    case 'queued':
    case 'waking':
    case 'running':
    case 'waiting':
      return undefined;
  }
}

function nodeOf(target: string): string {
  return parseAddress(target).node ?? target;
}
