/** How text is written in a unit file: systemd.syntax(7), systemd.service(5) under "Command lines", systemd.unit(5) under "Specifiers". */
import { invalid } from '../domain/errors.ts';
import { quoted } from '../domain/text.ts';

const control = /\p{Cc}/u;

/** @throws BrokerError `invalid`: a unit file has lines, and paths with control characters are nobody's intent */
function checked(text: string): string {
  if (control.test(text)) throw invalid(`${quoted(text)} can’t stand in a unit file: it has a control character`, 'use a path without one');
  return text;
}

const specifiers = (text: string): string => text.replaceAll('%', '%%');
const inQuotes = (text: string): string => `"${text.replaceAll(/["\\]/g, '\\$&')}"`;
const plain = /^[A-Za-z0-9_@+=:,./-]+$/;

/** An argument of a command line: no variable is put in, no word split. */
export function commandArgument(text: string): string {
  const literal = specifiers(checked(text)).replaceAll('$', '$$$$');
  return plain.test(text) ? text : inQuotes(literal);
}

/** The program of a command line, in which variables are not looked for. */
export function commandProgram(path: string): string {
  return plain.test(path) ? path : inQuotes(specifiers(checked(path)));
}

/** `NAME=VALUE` of `Environment=`. */
export function assignment(name: string, value: string): string {
  return inQuotes(specifiers(checked(`${name}=${value}`)));
}

/** A path that is the whole value, of a setting that takes patterns (`EnvironmentFile=`): glob(7). */
export function patternPath(path: string): string {
  return specifiers(checked(path)).replaceAll(/[\\*?[\]]/g, '\\$&');
}

/** A value that is taken as it is, to the end of the line. */
export function wholeValue(text: string): string {
  return specifiers(checked(text));
}
