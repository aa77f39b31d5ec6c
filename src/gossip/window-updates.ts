/**
 * A stream that gives its sender more window only when half of it is used up, as hashicorp/yamux does (`stream.go`,
 * `sendWindowUpdate`: nothing while `delta < max/2`). The library answers every message with an update, which is a frame
 * to be encrypted, sent, received and decrypted for each that carries news.
 */
import type { Stream } from './libp2p.ts';

/** Of a yamux stream, bytes. Another muxer's has none of it, and is left as it is. */
interface Windowed {
  readonly recvWindow: number;
  readonly recvWindowCapacity: number;
  sendWindowUpdate(): void;
}

export function updateSeldom(stream: Stream): void {
  if (!isWindowed(stream)) return;
  const send = stream.sendWindowUpdate.bind(stream);
  // The first carries the acknowledgement of the stream itself.
  let isFirst = true;
  stream.sendWindowUpdate = () => {
    if (!isFirst && stream.recvWindowCapacity > stream.recvWindow / 2) return;
    isFirst = false;
    send();
  };
}

function isWindowed(stream: Stream): stream is Stream & Windowed {
  const { recvWindow, recvWindowCapacity, sendWindowUpdate } = stream as Partial<Windowed>;
  return typeof recvWindow === 'number' && typeof recvWindowCapacity === 'number' && typeof sendWindowUpdate === 'function';
}
