/** Bytes from elsewhere on their way to a terminal: decoded and made harmless, whatever the pieces they come in. */
import { neutralise } from '../domain/text.ts';

export class TerminalText {
  readonly #decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  /** A carriage return at the end of a piece: harmless if a newline follows. */
  #heldReturn = false;
  /** The last character that came out, to end the last line. */
  #last = '\n';

  get endsLine(): boolean {
    return this.#last === '\n';
  }

  /** Somebody else has ended the line on the screen. */
  lineWasEnded(): void {
    this.#last = '\n';
  }

  push(bytes: Uint8Array): string {
    return this.#show(this.#decoder.decode(bytes, { stream: true }), false);
  }

  end(): string {
    return this.#show(this.#decoder.decode(), true);
  }

  #show(decoded: string, isEnd: boolean): string {
    let text = this.#heldReturn ? `\r${decoded}` : decoded;
    this.#heldReturn = !isEnd && text.endsWith('\r');
    if (this.#heldReturn) text = text.slice(0, -1);
    const shown = neutralise(text.replaceAll('\r\n', '\n'));
    if (shown !== '') this.#last = shown.charAt(shown.length - 1);
    return shown;
  }
}
