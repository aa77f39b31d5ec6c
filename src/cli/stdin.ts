/** Reading stdin and files, bounded. */
import { open } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { BrokerError, invalid } from '../domain/errors.ts';
import { quoted } from '../domain/text.ts';
import { codeOf } from '../domain/system-error.ts';

/** All of a stream. @throws BrokerError `invalid` when there are more than `mostBytes` */
export async function readAll(stream: Readable, mostBytes: number, what = 'stdin'): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  let total = 0;
  for await (const chunk of stream) {
    const piece: Uint8Array = typeof chunk === 'string' ? Buffer.from(chunk) : (chunk as Uint8Array);
    total += piece.length;
    if (total > mostBytes) throw tooLarge(what, mostBytes);
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}

export async function readText(stream: Readable, mostBytes: number): Promise<string> {
  return new TextDecoder().decode(await readAll(stream, mostBytes));
}

/** All of a file. @throws BrokerError `invalid` when it can't be read or has more than `mostBytes` */
export async function readFileBounded(path: string, mostBytes: number): Promise<Uint8Array> {
  try {
    await using file = await open(path, 'r');
    const stat = await file.stat();
    if (stat.isDirectory()) throw invalid(`${quoted(path)} is a directory`, '-f takes a file');
    return await readAll(file.createReadStream({ autoClose: false }), mostBytes, quoted(path));
  } catch (thrown) {
    if (thrown instanceof BrokerError) throw thrown;
    const code = codeOf(thrown);
    const why = code === 'ENOENT' ? 'it does not exist' : code === 'EACCES' ? 'it may not be read' : code;
    throw new BrokerError('invalid', `the file ${quoted(path)} can’t be read: ${why}`, { cause: thrown });
  }
}

export function tooLarge(what: string, mostBytes: number): BrokerError {
  const shown = mostBytes >= 1024 * 1024 ? `${Math.floor(mostBytes / (1024 * 1024))} MiB` : `${Math.floor(mostBytes / 1024)} KiB`;
  return invalid(`${what} has more than ${shown}`, 'put large input into a file on the machine of the agent and name it in the task');
}
