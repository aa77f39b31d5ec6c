/**
 * The workspace part of an address: 1 to 200 of `A-Z a-z 0-9 . _ - /` or `%XX` of a UTF-8 byte, each counting one.
 * Its canonical spelling writes as `%XX`, in upper case, only what has to be, so that equal workspaces are equal text.
 */
import { invalid } from './errors.ts';
import { quoted } from './text.ts';

export const longestWorkspace = 200;

const plain = /^[A-Za-z0-9._/-]$/;

/** A fault in a text: where (0-based index in UTF-16 units) and why. */
export interface Fault {
  readonly at: number;
  readonly why: string;
}

/** The canonical spelling of a workspace as written in an address, or the leftmost fault. */
export function readWorkspace(text: string): { readonly workspace: string } | { readonly fault: Fault } {
  if (text === '') return fault(0, 'the workspace is missing');
  let count = 0;
  let at = 0;
  while (at < text.length) {
    if (count === longestWorkspace) return fault(at, `a workspace has at most ${longestWorkspace} characters`);
    const character = text.charAt(at);
    if (character === '%') {
      const run = /^(?:%[0-9A-Fa-f]{2})+/.exec(text.slice(at, at + 3 * (longestWorkspace + 1)))?.[0];
      if (run === undefined) return fault(at, '% must be followed by two hex digits');
      if (decodeUtf8(run) === undefined) {
        // Past the limit the run may have been cut inside a character, and too long is what is wrong.
        if (count + run.length / 3 <= longestWorkspace) return fault(at, `${quoted(run)} is not UTF-8`);
        return fault(at, `a workspace has at most ${longestWorkspace} characters`);
      }
      count += run.length / 3;
      if (count > longestWorkspace) return fault(at, `a workspace has at most ${longestWorkspace} characters`);
      at += run.length;
    } else if (plain.test(character)) {
      count += 1;
      at += 1;
    } else {
      const whole = String.fromCodePoint(text.codePointAt(at) ?? 0);
      return fault(at, `a workspace can't contain ${quoted(whole)}, write it as ${percent(whole)}`);
    }
  }
  return { workspace: percent(decodeUtf8(text) ?? text) };
}

/**
 * The workspace for a raw name, such as a git branch.
 * @throws BrokerError `invalid` when it is empty or longer than 200 (each byte of what is not plain counts one)
 */
export function encodeWorkspace(raw: string): string {
  const read = readWorkspace(percent(raw));
  if ('workspace' in read) return read.workspace;
  throw invalid(`${quoted(raw)} can't be a workspace: ${read.fault.why}`, 'choose one: --workspace NAME');
}

/** The raw name that a canonical workspace stands for. @throws BrokerError `invalid` */
export function decodeWorkspace(workspace: string): string {
  return decodeUtf8(parseWorkspace(workspace)) ?? workspace;
}

/** The canonical spelling. @throws BrokerError `invalid` with column and reason */
export function parseWorkspace(text: string): string {
  const read = readWorkspace(text);
  if ('workspace' in read) return read.workspace;
  throw invalid(
    `${quoted(text)} is not a workspace: column ${columnOf(text, read.fault.at)}: ${read.fault.why}`,
    'a workspace is usually a git branch, such as feature-x or fix/login',
  );
}

/** Column, 1-based and in characters, of an index in UTF-16 units. */
export function columnOf(text: string, at: number): number {
  return Array.from(text.slice(0, at)).length + 1;
}

function percent(raw: string): string {
  return encodeURIComponent(raw.toWellFormed())
    .replaceAll('%2F', '/')
    .replace(/[!~*'()]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`);
}

function decodeUtf8(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch (thrown) {
    if (thrown instanceof URIError) return undefined;
    throw thrown;
  }
}

function fault(at: number, why: string): { readonly fault: Fault } {
  return { fault: { at, why } };
}
