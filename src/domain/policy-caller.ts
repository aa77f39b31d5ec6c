/** Whom a rule speaks of, and whether a caller is one of them. Exact, letter by letter: nobody is taken for another by a look-alike. */
import { flawOfRule } from './admit-rule.ts';
import { BrokerError } from './errors.ts';
import { isNodeId } from './ids.ts';
import type { NodeId } from './ids.ts';
import { parseNodeRef } from './name.ts';
import { quoted } from './text.ts';

export type CallerPattern =
  | { readonly kind: 'all' }
  /** An owner identity. */
  | { readonly kind: 'person'; readonly name: string }
  /** Whoever holds that name in this mesh; another that was granted it, too, is none. */
  | { readonly kind: 'node'; readonly name: string }
  | { readonly kind: 'node-id'; readonly nodeId: NodeId }
  /** Belongs to that tag by its certificate, or has it in the tailnet. */
  | { readonly kind: 'tag'; readonly tag: string }
  /** The policy of the tailnet grants its machine that capability on this one. */
  | { readonly kind: 'capability'; readonly name: string };

/** What the tailnet says of the machine that a caller's session comes from. */
export type TailnetStanding =
  /** Nothing: its session does not come through the tailnet. */
  | { readonly kind: 'none'; readonly why: string }
  /** It would have a say, and can't be asked now, or has not been yet. */
  | { readonly kind: 'unknown'; readonly why: string }
  | { readonly kind: 'known'; readonly tags: readonly string[]; readonly capabilities: ReadonlySet<string> };

/** The calling node, as its certificate says; never what a message says of itself. */
export interface PolicyCaller {
  readonly nodeId: NodeId;
  readonly name: string;
  /** Owner identity. */
  readonly owner: string;
}

/** What else of a caller rules ask for. */
export interface CallerFacts {
  /** Left out: as of one that does not come through the tailnet. */
  readonly tailnet?: TailnetStanding | undefined;
  /** Who holds a name in this mesh. */
  readonly holderOf: (name: string) => NodeId | undefined;
}

const longestPerson = 200;
export const howToNameCallers = 'one of person:NAME, node:NAME (or its id), tag:NAME, cap:DOMAIN/NAME, or * for every member';

/** @throws BrokerError `invalid` */
export function parseCaller(text: string): CallerPattern {
  if (text === '*') return { kind: 'all' };
  const [, kind, value = ''] = /^(person|node|tag|cap):(.*)$/s.exec(text) ?? [];
  if (kind === undefined) throw wrong(text, 'it does not say what it names');
  if (value === '') throw wrong(text, 'it names nobody');
  switch (kind) {
    case 'person':
      if (value.startsWith('tag:')) throw wrong(text, `a tag is no person: write ${value}`);
      if (value.length > longestPerson || /\p{C}/u.test(value) || value.trim() !== value) throw wrong(text, 'an owner identity has at most 200 characters, none of them invisible, and no blank around it');
      return { kind: 'person', name: value };
    case 'node': {
      const ref = parseNodeRef(value);
      return ref.kind === 'id' ? { kind: 'node-id', nodeId: ref.nodeId } : { kind: 'node', name: ref.name };
    }
    case 'tag': {
      const flaw = flawOfRule({ kind: 'tag', value: text });
      if (flaw !== undefined) throw wrong(text, flaw);
      return { kind: 'tag', tag: text };
    }
    default: {
      const flaw = flawOfRule({ kind: 'capability', value });
      if (flaw !== undefined) throw wrong(text, flaw);
      return { kind: 'capability', name: value };
    }
  }
}

/** As `parseCaller` reads it. */
export function textOfCaller(pattern: CallerPattern): string {
  switch (pattern.kind) {
    case 'all':
      return '*';
    case 'person':
      return `person:${pattern.name}`;
    case 'node':
      return `node:${pattern.name}`;
    case 'node-id':
      return `node:${pattern.nodeId}`;
    case 'tag':
      return pattern.tag;
    case 'capability':
      return `cap:${pattern.name}`;
  }
}

/** @param ifUnknown whether a caller counts as one whose tags and capabilities the tailnet can't tell now: so a denial fails closed */
export function coversCaller(pattern: CallerPattern, caller: PolicyCaller, { tailnet, holderOf }: CallerFacts, ifUnknown: boolean): boolean {
  switch (pattern.kind) {
    case 'all':
      return true;
    case 'person':
      return caller.owner === pattern.name;
    case 'node':
      return holderOf(pattern.name) === caller.nodeId;
    case 'node-id':
      return caller.nodeId === pattern.nodeId;
    case 'tag':
      return caller.owner === pattern.tag || (tailnet?.kind === 'known' ? tailnet.tags.includes(pattern.tag) : tailnet?.kind === 'unknown' && ifUnknown);
    case 'capability':
      return tailnet?.kind === 'known' ? tailnet.capabilities.has(pattern.name) : tailnet?.kind === 'unknown' && ifUnknown;
  }
}

/** Whether what the tailnet says makes a difference to it. */
export function asksTailnet({ kind }: CallerPattern): boolean {
  return kind === 'tag' || kind === 'capability';
}

function wrong(text: string, why: string): BrokerError {
  const bare = /^(?![*@])[A-Za-z0-9._@+-]+$/.test(text) && !isNodeId(text);
  const hint = bare ? `person:${text} or node:${text}? ${howToNameCallers}` : isNodeId(text) ? `write node:${text}` : howToNameCallers;
  return new BrokerError('invalid', `${quoted(text)} is no caller: ${why}`, { hint });
}
