/** What an agent reports in the course of a turn, put into the words of a flight. Remembers what was said of each tool call. */
import { createHash } from 'node:crypto';
import { longestTitle, type Progress, type StepState } from '../../domain/progress.ts';
import type { ToolCall, TurnEnd, Update } from './answers.ts';
import { changeOf, type Change } from './patch.ts';

export type Said = { readonly kind: 'text'; readonly text: string } | Progress;

/** Tool calls of one turn that are remembered; of more the oldest are forgotten. */
const mostCalls = 256;
/** Of one call: paths, and changed files. */
const mostPaths = 64;
/** Characters of a command or a path that is remembered. */
const longestWords = 4096;

/** A change as it is remembered: without its text. */
export type KnownChange = Omit<Change, 'patch'> & { readonly digest: string };

/** A tool call as all that was said of it so far. */
export interface KnownCall {
  readonly call: string;
  title: string;
  /** The tool's own name, else its kind. */
  tool: string;
  /** In the protocol's words: `read`, `edit`, `execute`, … */
  work: string | undefined;
  state: StepState;
  paths: readonly string[];
  changes: readonly KnownChange[];
  command: string | undefined;
}

export class TurnReport {
  readonly #cwd: string;
  readonly #calls = new Map<string, KnownCall>();
  #message: string | undefined;
  /** What the answer ends in so far; undefined before it begins. */
  #last: string | undefined;
  /** A tool was taken up since the answer's last piece. */
  #isApart = false;

  /** @param cwd paths are shown as they are seen from there */
  constructor(cwd: string) {
    this.#cwd = cwd;
  }

  take(update: Update): readonly Said[] {
    switch (update.sessionUpdate) {
      case 'agent_message_chunk':
        return this.#text(textOf(update.content), update.messageId);
      case 'agent_thought_chunk': {
        const text = textOf(update.content);
        return text === '' ? [] : [{ kind: 'thought', text }];
      }
      case 'tool_call':
        this.#isApart = true;
        return this.#tool(update);
      case 'tool_call_update':
        return this.#tool(update);
      case 'plan':
        return [{ kind: 'plan', steps: update.entries.map((entry) => ({ text: entry.content, state: stateOf(entry.status) })) }];
      case 'usage_update': {
        const { used, size, cost } = update;
        return [{ kind: 'usage', ...(used === undefined ? {} : { contextTokens: used }), ...(size === undefined ? {} : { contextSize: size }), ...(cost === undefined ? {} : { cost }) }];
      }
    }
  }

  /** With what is known of it already; `said` is what is new in it. */
  call(update: ToolCall): { readonly known: KnownCall; readonly said: readonly Said[] } {
    const said = this.#tool(update);
    return { known: this.#known(update.toolCallId), said };
  }

  /** A message that follows another begins a paragraph of its own: nothing else tells them apart. */
  #text(text: string, message: string | undefined): readonly Said[] {
    if (text === '') return [];
    const isNew = message !== undefined && this.#message !== undefined ? message !== this.#message : this.#isApart;
    const gap = isNew && this.#last !== undefined && this.#last !== '\n' && !text.startsWith('\n') ? '\n\n' : '';
    this.#isApart = false;
    this.#message = message ?? this.#message;
    this.#last = text.at(-1);
    return [{ kind: 'text', text: gap + text }];
  }

  #tool(update: ToolCall): readonly Said[] {
    const isNew = !this.#calls.has(update.toolCallId);
    const known = this.#known(update.toolCallId);
    const before = { ...known };
    if (update.title !== undefined && update.title !== '') known.title = update.title.slice(0, longestTitle);
    known.tool = (update.name ?? update.kind ?? known.tool).slice(0, longestTitle);
    known.work = update.kind?.slice(0, longestTitle) ?? known.work;
    if (update.status !== undefined) known.state = stateOf(update.status);
    if (update.locations !== undefined && update.locations.length > 0) known.paths = pathsIn(update.locations);
    known.command = commandIn(update.rawInput)?.slice(0, longestWords) ?? known.command;
    const isToldAgain = !isNew && before.title === known.title && before.tool === known.tool && before.state === known.state;
    const said: Said[] = isToldAgain ? [] : [{ kind: 'tool', call: known.call, title: known.title || known.tool, tool: known.tool, state: known.state }];
    if (update.content === undefined) return said;
    const changes: KnownChange[] = [];
    for (const each of update.content.slice(0, mostPaths)) {
      const { patch, ...change } = changeOf(this.#cwd, placeOf(each.path), each.oldText, each.newText);
      const digest = createHash('sha256').update(patch).digest('base64');
      if (!known.changes.some((other) => other.path === change.path && other.digest === digest)) said.push({ kind: 'diff', path: change.path, patch });
      changes.push({ ...change, digest });
    }
    if (changes.length > 0) known.changes = changes;
    if (update.content.length > mostPaths) known.paths = [...known.paths, '/'];
    return said;
  }

  #known(id: string): KnownCall {
    let known = this.#calls.get(id);
    if (known === undefined) {
      known = { call: id, title: '', tool: 'tool', work: undefined, state: 'pending', paths: [], changes: [], command: undefined };
      this.#calls.set(id, known);
      const [oldest] = this.#calls.keys();
      if (this.#calls.size > mostCalls && oldest !== undefined) this.#calls.delete(oldest);
    }
    return known;
  }
}

/** What the answer to the prompt tells of tokens; undefined when nothing. */
export function usageOf({ usage }: TurnEnd): Progress | undefined {
  const { inputTokens, outputTokens } = usage ?? {};
  if (inputTokens === undefined && outputTokens === undefined) return undefined;
  return { kind: 'usage', ...(inputTokens === undefined ? {} : { inputTokens }), ...(outputTokens === undefined ? {} : { outputTokens }) };
}

function textOf(content: Extract<Update, { content: { type: string } }>['content']): string {
  switch (content.type) {
    case 'text':
      return content.text;
    case 'resource_link':
      return `[${content.name}](${content.uri})`;
    case 'resource':
      return content.resource.text;
  }
}

/** A tool call that says nothing is waiting; a state of a later version counts as running. */
function stateOf(status: string | undefined): StepState {
  switch (status) {
    case undefined:
    case 'pending':
      return 'pending';
    case 'completed':
      return 'done';
    case 'failed':
      return 'failed';
    default:
      return 'running';
  }
}

/** What is beyond the bounds counts as a place that nobody knows, so that nothing is let through for want of room. */
function placeOf(path: string): string {
  return path.length <= longestWords ? path : '/';
}

function pathsIn(locations: readonly { readonly path: string }[]): readonly string[] {
  const paths = locations.slice(0, mostPaths).map(({ path }) => placeOf(path));
  return locations.length <= mostPaths ? paths : [...paths, '/'];
}

/** By convention of the agents: `command`, a text or a list of arguments. */
function commandIn(input: unknown): string | undefined {
  if (typeof input !== 'object' || input === null || !('command' in input)) return undefined;
  const { command } = input;
  if (typeof command === 'string') return command;
  return Array.isArray(command) && command.every((each) => typeof each === 'string') ? command.join(' ') : undefined;
}
