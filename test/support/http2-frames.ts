/** HTTP/2 by hand (RFC 9113), for peers that do what no library would. */
import { connect } from 'node:tls';
import type { TLSSocket } from 'node:tls';
import type { HostPort } from '../../src/domain/host-port.ts';
import type { MeshIdentity } from '../../src/domain/trust.ts';

export const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');

export const frameType = { data: 0, headers: 1, priority: 2, reset: 3, settings: 4, ping: 6, goaway: 7, windowUpdate: 8, continuation: 9 } as const;
export const endStream = 0x1;
export const endHeaders = 0x4;

export function frame(type: number, flags: number, stream: number, payload: Uint8Array = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** Each literally, none of them indexed (RFC 7541, 6.2.2). */
export function headers(fields: Readonly<Record<string, string>>): Buffer {
  return Buffer.concat(Object.entries(fields).flatMap(([name, value]) => [Buffer.of(0), text(name), text(value)]));
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([integer(bytes.length), bytes]);
}

/** With a prefix of 7 bits (RFC 7541, 5.1). */
function integer(value: number): Buffer {
  if (value < 127) return Buffer.of(value);
  const bytes = [127];
  let rest = value - 127;
  while (rest >= 128) {
    bytes.push((rest % 128) + 128);
    rest = Math.floor(rest / 128);
  }
  return Buffer.of(...bytes, rest);
}

export const grpcCall = (path: string): Readonly<Record<string, string>> => ({
  ':method': 'POST',
  ':scheme': 'https',
  ':path': path,
  ':authority': 'beckon',
  'content-type': 'application/grpc',
  te: 'trailers',
});

/** A connection of a member that speaks by hand. It reads all that comes, and sends no answer to it but those given. */
export class RawPeer {
  readonly socket: TLSSocket;
  readonly closed: Promise<void>;
  /** Bytes of whole frames that came, by type. */
  readonly came: number[] = [];
  #rest = Buffer.alloc(0);

  private constructor(socket: TLSSocket) {
    this.socket = socket;
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()));
    socket.on('error', () => undefined);
    socket.on('data', (bytes: Buffer) => this.#read(bytes));
  }

  static async open(at: HostPort, identity: MeshIdentity): Promise<RawPeer> {
    const socket = connect({ ...at, key: identity.keyPem, cert: identity.chainPem, ca: identity.rootPem, ALPNProtocols: ['h2'], rejectUnauthorized: false });
    const peer = new RawPeer(socket);
    await new Promise<void>((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject));
    socket.write(Buffer.concat([preface, frame(frameType.settings, 0, 0)]));
    return peer;
  }

  get isOpen(): boolean {
    return !this.socket.destroyed;
  }

  count(type: number): number {
    return this.came[type] ?? 0;
  }

  /** Waits while the other side takes nothing. Resolves to whether the connection is still there. */
  async send(bytes: Uint8Array): Promise<boolean> {
    if (!this.isOpen) return false;
    if (this.socket.write(bytes)) return true;
    await Promise.race([new Promise<void>((resolve) => this.socket.once('drain', () => resolve())), this.closed]);
    return this.isOpen;
  }

  #read(bytes: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, bytes]);
    while (this.#rest.length >= 9) {
      const end = 9 + this.#rest.readUIntBE(0, 3);
      if (this.#rest.length < end) return;
      const type = this.#rest[3] ?? 0;
      this.came[type] = (this.came[type] ?? 0) + 1;
      this.#rest = this.#rest.subarray(end);
    }
  }
}
