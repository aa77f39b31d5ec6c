/** To which of this machine's addresses each connection of a member came: a remote address alone does not say which way it took. */
import type { Socket } from 'node:net';
import { formatHostPort } from '../domain/host-port.ts';

export class InboundEnds {
  readonly #local = new Map<string, string>();

  /** Until it is closed. */
  arrived(socket: Pick<Socket, 'remoteAddress' | 'remotePort' | 'localAddress' | 'once'>): void {
    const { remoteAddress: host, remotePort: port, localAddress } = socket;
    if (host === undefined || port === undefined || localAddress === undefined) return;
    const remote = formatHostPort({ host, port });
    this.#local.set(remote, localAddress);
    socket.once('close', () => this.#local.delete(remote));
  }

  /** @param remote host:port */
  localAddressOf(remote: string): string | undefined {
    return this.#local.get(remote);
  }
}
