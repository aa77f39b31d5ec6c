/** A gRPC client that knows nothing of a server but what its reflection says: what grpcurl and its kin do. */
import { createFileRegistry, create, fromBinary, fromJson, toBinary, toJson } from '@bufbuild/protobuf';
import type { DescMethod, FileRegistry, JsonValue } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema, FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import type { FileDescriptorProto } from '@bufbuild/protobuf/wkt';
import { Client, Metadata } from '@grpc/grpc-js';
import type { ChannelCredentials, ClientReadableStream } from '@grpc/grpc-js';
import { ServerReflectionRequest, ServerReflectionResponse } from '../../src/gen/grpc/reflection/v1/reflection.ts';

type Question = NonNullable<ServerReflectionRequest['messageRequest']>;
export type Answer = NonNullable<ServerReflectionResponse['messageResponse']>;

export interface GenericOptions {
  /** Headers of every call, those of reflection too. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly version?: 'v1' | 'v1alpha';
}

const deadlineMs = 10_000;

export class GenericClient implements Disposable {
  readonly #client: Client;
  readonly #options: GenericOptions;
  readonly #calls = new Set<ClientReadableStream<JsonValue>>();
  #registry: Promise<FileRegistry> | undefined;

  /** @param target `unix:PATH` or host:port */
  constructor(target: string, credentials: ChannelCredentials, options: GenericOptions = {}) {
    this.#client = new Client(target, credentials, { 'grpc.enable_retries': 0, 'grpc.use_local_subchannel_pool': 1 });
    this.#options = options;
  }

  /** @throws grpc-js' ServiceError */
  async services(): Promise<string[]> {
    const [answer] = await this.ask({ $case: 'listServices', value: '' });
    return answer?.$case === 'listServicesResponse' ? answer.value.service.map(({ name }) => name) : [];
  }

  /** All on one stream, in order. */
  async ask(...questions: readonly Question[]): Promise<Answer[]> {
    const path = `/grpc.reflection.${this.#options.version ?? 'v1'}.ServerReflection/ServerReflectionInfo`;
    const encode = (request: ServerReflectionRequest): Buffer => Buffer.from(ServerReflectionRequest.encode(request).finish());
    const call = this.#client.makeBidiStreamRequest(path, encode, (bytes) => ServerReflectionResponse.decode(bytes), this.#metadata(), { deadline: Date.now() + deadlineMs });
    for (const messageRequest of questions) call.write({ host: '', messageRequest });
    call.end();
    const answers: Answer[] = [];
    for await (const { messageResponse } of call as AsyncIterable<ServerReflectionResponse>) if (messageResponse !== undefined) answers.push(messageResponse);
    return answers;
  }

  /** @param method `package.Service/Method` */
  async unary(method: string, request: JsonValue = {}): Promise<JsonValue> {
    const { path, serialize, deserialize } = await this.#method(method, 'unary');
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(path, serialize, deserialize, request, this.#metadata(), { deadline: Date.now() + deadlineMs }, (error, response) => (error === null ? resolve(response ?? null) : reject(error)));
    });
  }

  async serverStream(method: string, request: JsonValue = {}): Promise<ClientReadableStream<JsonValue>> {
    const { path, serialize, deserialize } = await this.#method(method, 'server_streaming');
    const call = this.#client.makeServerStreamRequest(path, serialize, deserialize, request, this.#metadata());
    this.#calls.add(call);
    return call;
  }

  /** What still streams is let go of, which to leave a `for await` alone does not do. */
  [Symbol.dispose](): void {
    for (const call of this.#calls) call.on('error', () => undefined).cancel();
    this.#client.close();
  }

  async #method(name: string, kind: DescMethod['methodKind']) {
    const [service = '', local = ''] = name.split('/');
    const registry = await (this.#registry ??= this.#load());
    const method = registry.getService(service)?.methods.find((each) => each.name === local);
    if (method?.methodKind !== kind) throw new Error(`reflection tells of no ${kind} method ${name}`);
    return {
      path: `/${service}/${local}`,
      serialize: (json: JsonValue): Buffer => Buffer.from(toBinary(method.input, fromJson(method.input, json, { registry }))),
      deserialize: (bytes: Buffer): JsonValue => toJson(method.output, fromBinary(method.output, bytes), { registry }),
    };
  }

  async #load(): Promise<FileRegistry> {
    const answers = await this.ask(...(await this.services()).map((value) => ({ $case: 'fileContainingSymbol', value }) as const));
    const files = new Map<string, FileDescriptorProto>();
    for (const answer of answers) {
      for (const bytes of answer.$case === 'fileDescriptorResponse' ? answer.value.fileDescriptorProto : []) {
        const file = fromBinary(FileDescriptorProtoSchema, bytes);
        files.set(file.name, file);
      }
    }
    // A registry is made of files that stand after what they import.
    const ordered = new Set<FileDescriptorProto>();
    const add = (name: string): void => {
      const file = files.get(name);
      if (file === undefined) throw new Error(`${name} was imported and not told`);
      if (ordered.has(file)) return;
      for (const each of file.dependency) add(each);
      ordered.add(file);
    };
    for (const name of files.keys()) add(name);
    return createFileRegistry(create(FileDescriptorSetSchema, { file: [...ordered] }));
  }

  #metadata(): Metadata {
    const metadata = new Metadata();
    for (const [name, value] of Object.entries(this.#options.headers ?? {})) metadata.set(name, value);
    return metadata;
  }
}
