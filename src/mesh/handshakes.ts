/**
 * Connections of one channel that are not secured yet, to be ended with it. grpc-js leaves such a one alone when its channel
 * is closed: a peer that stands still, whose kernel takes connections that nobody answers, would cost one for each try.
 */
import type { ChannelCredentials } from '@grpc/grpc-js';

type SecureConnector = ReturnType<ChannelCredentials['_createSecureConnector']>;
type Socket = Parameters<SecureConnector['connect']>[0];

export class Handshakes {
  readonly #underWay = new Set<Socket>();
  #isOver = false;

  /** Changes those credentials, which are of one channel alone. */
  watch(credentials: ChannelCredentials): ChannelCredentials {
    const create = credentials._createSecureConnector.bind(credentials);
    credentials._createSecureConnector = (...args) => {
      const connector = create(...args);
      return {
        connect: (socket) => this.#follow(socket, connector),
        waitForReady: () => connector.waitForReady(),
        getCallCredentials: () => connector.getCallCredentials(),
        destroy: () => connector.destroy(),
      };
    };
    return credentials;
  }

  /** Ends those under way, and any that comes later. */
  end(): void {
    this.#isOver = true;
    for (const socket of this.#underWay) socket.destroy();
  }

  #follow(socket: Socket, connector: SecureConnector): ReturnType<SecureConnector['connect']> {
    this.#underWay.add(socket);
    const secured = connector.connect(socket).finally(() => this.#underWay.delete(socket));
    if (this.#isOver) socket.destroy();
    return secured;
  }
}
