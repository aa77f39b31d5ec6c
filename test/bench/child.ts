/** A process of a bench: what is measured, and what measures, share no event loop. */
import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { sampled, sending } from './load.ts';
import type { Load, Sample } from './load.ts';

type Word = { readonly type: 'ready' } | { readonly type: 'sample'; readonly sample: Sample } | { readonly type: 'failed'; readonly why: string };

export class Child implements AsyncDisposable {
  readonly #process: ChildProcess;
  #waiting: { readonly resolve: (word: Word) => void; readonly reject: (error: Error) => void } | undefined;
  #end: Error | undefined;

  /** @param script a module that says `isReady`, `measures` or `answers` @throws what it failed with before */
  static async start(script: URL, args: readonly string[] = []): Promise<Child> {
    const child = new Child(script, args);
    try {
      await child.#word();
      return child;
    } catch (error) {
      await child[Symbol.asyncDispose]();
      throw error;
    }
  }

  private constructor(script: URL, args: readonly string[]) {
    const name = script.pathname.split('/').at(-1);
    this.#process = fork(script, args, { execArgv: ['--disable-warning=ExperimentalWarning'], serialization: 'advanced' });
    this.#process.on('message', (word: Word) => {
      if (word.type === 'failed') this.#waiting?.reject(new Error(`${name}: ${word.why}`));
      else this.#waiting?.resolve(word);
      this.#waiting = undefined;
    });
    this.#process.once('exit', (code, signal) => {
      this.#end = new Error(`${name} ended with ${code ?? signal}`);
      this.#waiting?.reject(this.#end);
    });
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  /** Of one that `measures`. One load at a time. */
  async measure(load: Load): Promise<Sample> {
    const word = this.#word();
    this.#process.send(load);
    const said = await word;
    if (said.type !== 'sample') throw new Error('it said that it is ready, not what it measured');
    return said.sample;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const ended = new Promise<void>((resolve) => this.#process.once('exit', () => resolve()));
    this.#process.kill();
    await ended;
  }

  #word(): Promise<Word> {
    if (this.#end !== undefined) return Promise.reject(this.#end);
    return new Promise((resolve, reject) => (this.#waiting = { resolve, reject }));
  }
}

/** In the process: what others need it for is there. It ends with the bench, however that ends. */
export function isReady(): void {
  process.once('disconnect', () => process.exit(0));
  say({ type: 'ready' });
}

/** In the process: answers each load with what `call` took. */
export function measures(call: () => Promise<unknown>): void {
  const send = sending(call);
  answers((load) => sampled(load, send));
}

/** The same, where more than a call is measured at once. */
export function answers(measure: (load: Load) => Promise<Sample>): void {
  process.on('message', (load: Load) => {
    measure(load).then(
      (sample) => say({ type: 'sample', sample }),
      (error: unknown) => say({ type: 'failed', why: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
    );
  });
  isReady();
}

function say(word: Word): void {
  process.send?.(word);
}
