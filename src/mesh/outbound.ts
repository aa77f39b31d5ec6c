/** The dialler's side: one TLS connection, one gRPC channel over it, and who answered. */
import { credentials } from '@grpc/grpc-js';
import type { ChannelOptions, ClientDuplexStream, ServiceError } from '@grpc/grpc-js';
import type { Duplex } from 'node:stream';
import type { PeerCertificate, SecureContext } from 'node:tls';
import { toBrokerError, unavailable } from '../domain/errors.ts';
import type { BrokerError } from '../domain/errors.ts';
import type { Clock } from '../domain/ports.ts';
import type { MeshIdentity, PeerIdentity } from '../domain/trust.ts';
import { isServiceError } from '../rpc/status.ts';
import { dialError, silentError } from './dial-fault.ts';
import { Handshakes } from './handshakes.ts';
import { messageLimits, RawClient, windowBytes } from './raw-mesh.ts';

/** Until the other end has proven who it is, ms. */
export const dialTimeoutMs = 3_000;
const lingerMs = 500;

/** How to be this member towards a server, and how to judge it. */
export interface PeerTls {
  readonly secureContext: SecureContext;
  readonly checkServerIdentity: (host: string, certificate: PeerCertificate) => Error | undefined;
}

/** `onServer` is told who answers before a byte leaves; what it throws breaks the connection off. */
export type MakeTls = (identity: MeshIdentity, expectation: { readonly onServer: (peer: PeerIdentity) => void }) => PeerTls;

export interface Outbound {
  readonly peer: PeerIdentity;
  readonly control: Duplex;
  readonly openData: () => Duplex;
  readonly hangUp: (isOrderly: boolean) => void;
}

export interface ConnectParts {
  /** What people call the place that is connected to. */
  readonly address: string;
  readonly makeTls: MakeTls;
  readonly clock: Clock;
  /** Gives the try up. */
  readonly signal: AbortSignal;
  readonly onServer: (peer: PeerIdentity) => void;
}

// Nothing of the environment (proxies), of DNS (service configs) or of other channels has a say in a connection.
// The name is never compared: a node is its key.
const channelOptions: ChannelOptions = {
  ...messageLimits,
  'grpc.ssl_target_name_override': 'node.beckon.internal',
  'grpc.default_authority': 'node.beckon.internal',
  'grpc.enable_http_proxy': 0,
  'grpc.enable_channelz': 0,
  'grpc.enable_retries': 0,
  'grpc.use_local_subchannel_pool': 1,
  'grpc.service_config_disable_resolution': 1,
  'grpc-node.flow_control_window': windowBytes,
};

/**
 * Connects once to a place, host:port or `unix:` and a path. The control call is open but nothing was sent on it.
 * `onServer` is as in `MakeTls`.
 * @throws BrokerError `unavailable` when nobody answers, `unauthenticated` when it is no member, or what `onServer` threw
 */
export function connect(
  place: string,
  identity: MeshIdentity,
  { address, makeTls, clock, signal, onServer }: ConnectParts,
): Promise<Outbound> {
  return new Promise((resolve, reject) => {
    let refusal: Error | undefined;
    let server: PeerIdentity | undefined;
    let isOver = false;
    const tls = makeTls(identity, {
      onServer: (peer) => {
        onServer(peer);
        server = peer;
      },
    });
    const checkServerIdentity: PeerTls['checkServerIdentity'] = (host, certificate) => {
      // Who answers a try that was given up is nobody's business.
      if (isOver) return unavailable('the try was given up');
      refusal = tls.checkServerIdentity(host, certificate);
      if (refusal === undefined && server !== undefined) queueMicrotask(connected(server));
      return refusal;
    };
    const target = place.startsWith('unix:') ? place : `dns:///${place}`;
    const handshakes = new Handshakes();
    const client = new RawClient(target, handshakes.watch(credentials.createFromSecureContext(tls.secureContext, { checkServerIdentity })), channelOptions);
    const open = (method: 'control' | 'data'): ClientDuplexStream<Buffer, Buffer> => {
      const call = (client[method] as () => ClientDuplexStream<Buffer, Buffer>).call(client);
      // An error without a listener would end the process; those who care listen too.
      call.on('error', () => undefined);
      return call;
    };
    const control = open('control');
    let data: ClientDuplexStream<Buffer, Buffer> | undefined;
    const close = (): void => {
      isOver = true;
      cancelTimer();
      cancelLinger();
      signal.removeEventListener('abort', onAbort);
      control.cancel();
      data?.cancel();
      client.close();
      handshakes.end();
    };
    const failed = (error: BrokerError): void => {
      close();
      reject(error);
    };
    let cancelLinger = (): void => undefined;
    const cancelTimer = clock.setTimer(dialTimeoutMs, () => failed(silentError(address)));
    const onError = (error: ServiceError): void => failed(refusal === undefined ? describe(address, error) : toBrokerError(refusal));
    control.once('error', onError);
    const onAbort = (): void => failed(unavailable('this node is stopping'));
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });

    const connected = (peer: PeerIdentity) => (): void => {
      cancelTimer();
      signal.removeEventListener('abort', onAbort);
      control.off('error', onError);
      resolve({
        peer,
        control: control as unknown as Duplex,
        openData: () => (data = open('data')) as unknown as Duplex,
        hangUp: (isOrderly) => {
          if (!isOrderly) return close();
          cancelLinger = clock.setTimer(lingerMs, close);
          control.once('close', close);
        },
      });
    };
  });
}

/** grpc-js wraps the socket's own words in its own, which say nothing to a person. */
function describe(address: string, error: unknown): BrokerError {
  if (!isServiceError(error)) return toBrokerError(error);
  const words = /Last error: (?:Error: )?(.*?)\. Resolution note:/s.exec(error.details)?.[1] ?? error.details;
  return dialError(address, words, error);
}
