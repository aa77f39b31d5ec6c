/**
 * What a neighbour sends, read no faster than it is handled and allowed. The pubsub library takes in whatever comes and
 * queues it without bound; here a stream that is ahead is paused instead, so that the neighbour has to wait (yamux: its
 * window is used up) and costs no more memory than that window.
 */
import type { Clock } from '../domain/ports.ts';
import { Allowance } from '../domain/allowance.ts';
import type { AllowanceRate } from '../domain/allowance.ts';
import { pause } from '../domain/pause.ts';
import type { Registrar, Stream, Topology } from './libp2p.ts';
import { updateSeldom } from './window-updates.ts';

/** Bytes of one neighbour. A mesh of 100 nodes at work stays far below. */
export const byteRate: AllowanceRate = { perSecond: 1024 * 1024, burst: 4 * 1024 * 1024 };
/** Above this the stream is paused. */
const queuedBytes = 64 * 1024;

type Chunk = Parameters<Stream['push']>[0];

/** One stream at a time, which is all that the library opens in each direction. */
const streamsPerProtocol = 2;

export interface PacedRegistrar {
  readonly registrar: Registrar;
  /** Of the library, told of connections by whoever made this. */
  readonly topology: () => Topology | undefined;
}

/**
 * The registrar that the pubsub library is given. It opens its streams when it is told that a peer speaks its protocol,
 * which is what the identify protocol is for; all members speak it, so nothing needs to be asked.
 */
export function pacedRegistrar(registrar: Registrar, clock: Clock): PacedRegistrar {
  let topology: Topology | undefined;
  const paced: Registrar = Object.create(registrar);
  paced.handle = (protocol, handler, options) =>
    registrar.handle(protocol, (stream, connection) => handler(pacedStream(stream, clock), connection), { ...options, maxInboundStreams: streamsPerProtocol, maxOutboundStreams: streamsPerProtocol });
  paced.register = (_protocol, given) => {
    topology = given;
    return Promise.resolve('gossip');
  };
  paced.unregister = () => {
    topology = undefined;
  };
  return { registrar: paced, topology: () => topology };
}

/** Only what the library uses of an inbound stream: it reads one that is no event target as an iterable. */
function pacedStream(stream: Stream, clock: Clock): Stream {
  updateSeldom(stream);
  const reading = read(stream, clock);
  const bare = {
    close: (...given: Parameters<Stream['close']>) => stream.close(...given),
    abort: (error: Error) => stream.abort(error),
    [Symbol.asyncIterator]: () => reading,
  };
  return bare as unknown as Stream;
}

/** Listens from the first moment on, so that nothing is missed. @throws what the stream ended with */
function read(stream: Stream, clock: Clock): AsyncGenerator<Chunk> {
  const allowance = new Allowance(byteRate, clock.monotonic());
  const queue: Chunk[] = [];
  let queued = 0;
  let isEnded = false;
  let failure: Error | undefined;
  let wake = (): void => undefined;
  const isReadable = (): boolean => stream.readStatus === 'readable' || stream.readStatus === 'paused';
  stream.addEventListener('message', ({ data }) => {
    queue.push(data);
    queued += data.byteLength;
    if (queued > queuedBytes && isReadable()) stream.pause();
    wake();
  });
  stream.addEventListener('remoteCloseWrite', () => {
    isEnded = true;
    wake();
  });
  stream.addEventListener('close', (event) => {
    isEnded = true;
    failure = event.error;
    wake();
  });
  return (async function* () {
    for (;;) {
      const chunk = queue.shift();
      if (chunk !== undefined) {
        const waitMs = allowance.charge(chunk.byteLength, clock.monotonic());
        if (waitMs > 0) await pause(clock, waitMs);
        yield chunk;
        queued -= chunk.byteLength;
        if (queue.length === 0 && stream.readStatus === 'paused') stream.resume();
        continue;
      }
      if (failure !== undefined) throw failure;
      if (isEnded) return;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  })();
}
