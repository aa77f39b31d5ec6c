/**
 * Standard streams of an agent. Node's own `pipe` is a pair of sockets, and a socket can't be opened by name: `cat
 * /dev/stdin` or `echo … > /dev/stderr` in a script fails with ENXIO. So stdin is a file that has no name any more, and
 * stdout and stderr are real pipes, made as FIFOs whose names go before anybody uses them.
 */
import { execFile } from 'node:child_process';
import { closeSync, constants, openSync, unlinkSync } from 'node:fs';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { Socket } from 'node:net';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { promisify } from 'node:util';

export interface Pipe {
  /** Takes the end to read from, once. Nothing is read from the pipe before. */
  read(): Readable;
  /** For the child; closed here with `close`. */
  readonly writer: number;
}

export interface OutputPipes {
  readonly stdout: Pipe;
  readonly stderr: Pipe;
}

/** Pairs made at a time: one start of mkfifo for as many runs. Each kept pair costs four file descriptors. */
const stockSize = 8;

export class OutputPipeStock {
  readonly #temporary: string;
  readonly #stock: OpenPipe[] = [];
  #filling: Promise<void> | undefined;

  /** @param temporary where the FIFOs have their names for a moment, in a directory of mode 0700 */
  constructor(temporary: string) {
    this.#temporary = temporary;
  }

  /** @returns undefined where the platform can't make FIFOs (no mkfifo, a file system without them): take sockets then. */
  async take(): Promise<OutputPipes | undefined> {
    for (;;) {
      const [stdout, stderr] = this.#stock.splice(0, 2);
      if (stdout !== undefined && stderr !== undefined) return { stdout, stderr };
      this.#filling ??= this.#fill().finally(() => {
        this.#filling = undefined;
      });
      try {
        await this.#filling;
      } catch {
        // Whatever stood in the way (it may be gone at the next run), sockets serve nearly as well.
        return undefined;
      }
    }
  }

  async #fill(): Promise<void> {
    const directory = await mkdtemp(join(this.#temporary, 'beckon-pipes-'));
    try {
      const names = Array.from({ length: 2 * stockSize }, (_, index) => join(directory, String(index)));
      await promisify(execFile)('mkfifo', ['-m', '600', ...names], { env: { PATH: '/usr/bin:/bin:/usr/sbin:/sbin' } });
      const made: OpenPipe[] = [];
      try {
        for (const name of names) made.push(new OpenPipe(name));
      } catch (error) {
        for (const pipe of made) pipe.discard();
        throw error;
      }
      this.#stock.push(...made);
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  }
}

class OpenPipe implements Pipe {
  readonly #reader: number;
  readonly writer: number;

  constructor(name: string) {
    // In this order and with this flag neither waits for the other end; the writer is a plain blocking one, as programs expect.
    this.#reader = openSync(name, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      this.writer = openSync(name, constants.O_WRONLY);
    } catch (error) {
      closeSync(this.#reader);
      throw error;
    }
    unlinkSync(name);
  }

  read(): Readable {
    return new Socket({ fd: this.#reader, readable: true, writable: false });
  }

  discard(): void {
    closeSync(this.#reader);
    closeSync(this.writer);
  }
}

/**
 * A file with these bytes, open at its start, that has no name: nobody else can find it, and the last one to close it
 * frees it. An agent that does not read it, or not all, harms nobody.
 * @returns a file descriptor, the caller's to close
 */
export async function stdinFile(temporary: string, bytes: Uint8Array): Promise<number> {
  const directory = await mkdtemp(join(temporary, 'beckon-task-'));
  let reader: number | undefined;
  try {
    const name = join(directory, 'task');
    {
      await using writer = await open(name, 'wx', 0o600);
      reader = openSync(name, constants.O_RDONLY);
      await rm(directory, { recursive: true });
      await writer.writeFile(bytes);
    }
    return reader;
  } catch (error) {
    if (reader !== undefined) closeSync(reader);
    await rm(directory, { recursive: true, force: true });
    throw error;
  }
}
