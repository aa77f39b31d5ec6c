/** Lines of a node's log for whoever looks at its stderr, which the node never waits for: not for a terminal that is stopped, not for a pipe that nobody empties. */
import { constants, openSync, writeSync } from 'node:fs';
import type { Writable } from 'node:stream';

const mostWaitingBytes = 256 * 1024;

/** False: there is no room, and the line is dropped. */
export type PutLine = (line: string) => boolean;

/** Node's own stream waits for a terminal: this one is opened anew, not to wait. */
export function terminalLines(path: string): PutLine {
  const descriptor = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  let waiting = Buffer.alloc(0);
  return (line) => {
    const isFull = waiting.length > mostWaitingBytes;
    const bytes = isFull ? waiting : Buffer.concat([waiting, Buffer.from(line)]);
    try {
      waiting = bytes.subarray(writeSync(descriptor, bytes));
    } catch (thrown) {
      if (!(thrown instanceof Error) || !('code' in thrown)) throw thrown;
      // EAGAIN is a terminal that is stopped; anything else one that is gone, for good.
      waiting = thrown.code === 'EAGAIN' ? bytes : Buffer.alloc(0);
    }
    return !isFull;
  };
}

/** Of a pipe, a socket or a file, which Node writes to as they take it. */
export function streamLines(stream: Writable): PutLine {
  return (line) => {
    if (stream.writableLength > mostWaitingBytes) return false;
    stream.write(line);
    return true;
  };
}
