/** What a person types at a terminal, key by key, and not shown. */
import type { ReadStream } from 'node:tty';

/** What was read. `undefined` in it: the person gave up. */
export interface Typed {
  readonly text: string | undefined;
}

/**
 * Until `take`, which gets what is typed as it comes, says what was read.
 * @returns undefined, too, when the terminal is gone or `signal` is aborted
 */
export function readRaw(terminal: ReadStream, signal: AbortSignal, take: (typed: string) => Typed | undefined): Promise<string | undefined> {
  return new Promise((resolve) => {
    const done = (text: string | undefined): void => {
      terminal.off('data', onData);
      terminal.off('end', onEnd);
      terminal.off('error', onEnd);
      signal.removeEventListener('abort', onEnd);
      terminal.setRawMode(false);
      terminal.pause();
      resolve(text);
    };
    const onData = (chunk: Buffer | string): void => {
      const typed = take(String(chunk));
      if (typed !== undefined) done(typed.text);
    };
    const onEnd = (): void => done(undefined);
    terminal.setRawMode(true);
    terminal.on('data', onData);
    terminal.on('end', onEnd);
    terminal.on('error', onEnd);
    signal.addEventListener('abort', onEnd);
    terminal.resume();
  });
}
