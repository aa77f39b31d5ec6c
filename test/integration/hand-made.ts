/** A member that speaks the wire's own words, so that a test can say what no version of this program says. */
import { credentials } from '@grpc/grpc-js';
import type { ClientDuplexStream } from '@grpc/grpc-js';
import { randomBytes } from 'node:crypto';
import type { MeshIdentity } from '../../src/domain/trust.ts';
import { ControlRequest, DataRequest } from '../../src/gen/beckon/v1/mesh.ts';
import type { ControlFrame, GoodbyeReason, Hello } from '../../src/gen/beckon/v1/mesh.ts';
import { RawClient } from '../../src/mesh/raw-mesh.ts';
import { protocol } from '../../src/mesh/version.ts';
import { clientTls } from '../../src/trust/client-tls.ts';
import { waitFor } from '../support/wait-for.ts';
import { someHlc } from './session-fixture.ts';

/** A member that speaks the protocol by hand. */
export class HandMade implements Disposable {
  readonly frames: NonNullable<ControlFrame['frame']>[] = [];
  isOver = false;
  /** Why it is, in the words of the transport. */
  fault: string | undefined;
  readonly #client: InstanceType<typeof RawClient>;
  readonly control: ClientDuplexStream<Buffer, Buffer>;

  constructor(identity: MeshIdentity, address: string) {
    const tls = clientTls(identity);
    this.#client = new RawClient(address, credentials.createFromSecureContext(tls.secureContext, { checkServerIdentity: tls.checkServerIdentity }), {
      'grpc.ssl_target_name_override': 'x',
      'grpc.use_local_subchannel_pool': 1,
    });
    this.control = this.open('control');
    this.control.on('data', (bytes: Buffer) => {
      for (const { frame } of ControlRequest.decode(bytes).frames) if (frame !== undefined) this.frames.push(frame);
    });
    this.control.on('end', () => (this.isOver = true));
  }

  open(method: 'control' | 'data'): ClientDuplexStream<Buffer, Buffer> {
    const call = (this.#client[method] as () => ClientDuplexStream<Buffer, Buffer>).call(this.#client);
    call.on('error', ({ message }) => {
      this.fault ??= message;
      this.isOver = true;
    });
    return call;
  }

  send(...frames: ControlFrame['frame'][]): void {
    this.control.write(Buffer.from(ControlRequest.encode({ frames: frames.map((frame) => ({ frame })) }).finish()));
  }

  hello(changed: Partial<Hello> = {}): void {
    this.send({ $case: 'hello', value: { ...hello, ...changed } });
  }

  nameData(sessionId = hello.sessionId): ClientDuplexStream<Buffer, Buffer> {
    const data = this.open('data');
    data.write(Buffer.from(DataRequest.encode({ frames: [{ frame: { $case: 'hello', value: { sessionId } } }] }).finish()));
    return data;
  }

  goodbye(): Promise<{ reason: GoodbyeReason; detail: string }> {
    return waitFor('a goodbye', () => this.frames.find((frame) => frame.$case === 'goodbye')?.value);
  }

  [Symbol.dispose](): void {
    this.control.cancel();
    this.#client.close();
  }
}

export const hello: Hello = {
  protocolMajor: protocol.major,
  protocolMinor: protocol.minor,
  version: '0.0.0',
  epoch: 5,
  seenEpochs: [],
  bootNonce: randomBytes(16),
  sessionId: randomBytes(16),
  features: [],
  addresses: [],
  nowMs: 1,
  hlc: someHlc,
};
