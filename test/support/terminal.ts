/** A command on a terminal of its own, through `script` of util-linux: what it shows, keys pressed, the line lost. */
import { missing, notLinux } from './programs.ts';

/** Why there is no terminal here; undefined when there is. BSD's `script` has other flags. */
export const noTerminal: string | undefined = notLinux ?? missing('script');

export const controlC = '\x03';

/** The words that run these words on a terminal. Its stdout is what the terminal shows, stderr included; exit codes pass. */
export function onTerminal(words: readonly string[]): readonly string[] {
  const command = words.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(' ');
  return ['script', '--quiet', '--return', '--flush', '--echo', 'auto', '--command', `exec ${command}`, '--log-out', '/dev/null'];
}
