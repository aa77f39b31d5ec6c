/** A real node, as an attack on it is judged. */
import { readFileSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { join } from 'node:path';
import type { Line, Watched } from './attack-form.ts';
import { processesOf } from './belongings.ts';
import type { TestNode } from './node-process.ts';
import { restingContents } from './store-contents.ts';

export function watched(node: TestNode): Watched {
  return {
    name: node.name,
    pid: () => node.pid,
    contents: () => restingContents(node.databasePath),
    logSince: () => {
      const log = new LogSince(node);
      return () => log.lines();
    },
    counter: (name) => counterOf(node, name),
    processes: () => processesOf(node.home).map(({ pid, command }) => `${pid} ${command.slice(0, 200)}`),
    memorySince: (pid) => {
      const memory = new PeakMemory(pid);
      return () => memory.grewMb();
    },
  };
}

/** A metric as the node tells it; 0 when it is not among them. Wants `metrics_listen` in its config, see `withMetrics`. */
export async function counterOf(node: TestNode, counter: string): Promise<number> {
  const at = readFileSync(join(node.home, 'config.toml'), 'utf8').match(/metrics_listen = "([^"]+)"/)?.[1];
  if (at === undefined) throw new Error(`${node.name} tells no metrics`);
  const text = await new Promise<string>((resolve, reject) => {
    const request = get(`http://${at}/metrics`, { agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.once('end', () => resolve(Buffer.concat(chunks).toString()));
      response.once('error', reject);
    });
    request.once('error', reject);
  });
  const line = text.split('\n').find((each) => each.startsWith(`${counter} `));
  return line === undefined ? 0 : Number(line.slice(counter.length + 1));
}

/** Before its start. @param port on loopback */
export function withMetrics(node: TestNode, port: number): void {
  writeFileSync(join(node.home, 'config.toml'), `metrics_listen = "127.0.0.1:${port}"\n`, { mode: 0o600, flag: 'a' });
}

/** Lines that a node has written since this was made. */
class LogSince {
  readonly #node: TestNode;
  readonly #from: number;

  constructor(node: TestNode) {
    this.#node = node;
    this.#from = Buffer.byteLength(node.log);
  }

  /** At `info` and above. */
  lines(): Line[] {
    const log = Buffer.from(this.#node.log);
    if (log.length < this.#from) throw new Error('the log was filled until it was put aside');
    const lines = log.subarray(this.#from).toString().split('\n').filter((line) => line !== '');
    return lines.map((text) => ({ ...(JSON.parse(text) as Line), text })).filter(({ level }) => level !== 'debug');
  }
}

/** How much more a process had at once than when this was made. Linux keeps the peak, and forgets it when it is told to. */
class PeakMemory {
  readonly #pid: number;
  readonly #beforeMb: number;

  constructor(pid: number) {
    this.#pid = pid;
    if (process.platform === 'linux') writeFileSync(`/proc/${pid}/clear_refs`, '5');
    this.#beforeMb = this.#peakMb();
  }

  grewMb(): number {
    return Math.max(0, Math.round(this.#peakMb() - this.#beforeMb));
  }

  #peakMb(): number {
    if (process.platform !== 'linux') return 0;
    const status = readFileSync(`/proc/${this.#pid}/status`, 'utf8');
    return Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) / 1024;
  }
}
