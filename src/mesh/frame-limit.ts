/**
 * What a member can have an HTTP/2 connection do besides its calls: pings, settings, calls begun. Each has this side answer or make
 * something, and none of it is work. A session sends two calls and a few settings in all its life, so who goes on with it is cut.
 * Bursts that are not read, resets, endless headers and the like end by nghttp2's own bounds, which are narrower.
 */
import type { Server } from '@grpc/grpc-js';
import type { EventEmitter } from 'node:events';
import type { ServerHttp2Session } from 'node:http2';
import { Allowance } from '../domain/allowance.ts';
import type { Clock } from '../domain/ports.ts';

/** Pings, settings and calls together, of one connection. */
export const frameRate = { perSecond: 20, burst: 400 } as const;

export interface FrameLimitParts {
  readonly clock: Pick<Clock, 'monotonic'>;
  /** Its connection is to be cut. Called once. */
  readonly onOver: (session: ServerHttp2Session) => void;
  /** Its other end said that it goes (GOAWAY). */
  readonly onGoodbye: (session: ServerHttp2Session) => void;
}

/**
 * For all connections that are injected into that server from now on. Its HTTP/2 servers are reached through what grpc-js keeps
 * private: should that change, such a member costs a processor what it can send, and nothing else; a test notices.
 */
export function limitFrames(server: Server, { clock, onOver, onGoodbye }: FrameLimitParts): void {
  const { http2Servers } = server as unknown as { readonly http2Servers?: ReadonlyMap<EventEmitter, unknown> };
  for (const each of http2Servers?.keys() ?? []) {
    each.on('session', (session: ServerHttp2Session) => {
      const allowance = new Allowance(frameRate, clock.monotonic());
      let isOver = false;
      const charge = (): void => {
        if (isOver || allowance.charge(1, clock.monotonic()) === 0) return;
        isOver = true;
        onOver(session);
      };
      session.on('ping', charge);
      session.on('remoteSettings', charge);
      session.on('stream', charge);
      session.once('goaway', () => onGoodbye(session));
    });
  }
}
