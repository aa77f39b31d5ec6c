/**
 * Server reflection, both versions, which differ in their names alone: generic clients find out what can be called. What it tells is
 * loaded at the first question. https://github.com/grpc/grpc/blob/master/doc/server-reflection.md
 */
import { status } from '@grpc/grpc-js';
import type { handleBidiStreamingCall } from '@grpc/grpc-js';
import { once } from 'node:events';
import { BrokerError, invalid } from '../domain/errors.ts';
import type { ServerReflectionRequest, ServerReflectionResponse } from '../gen/grpc/reflection/v1/reflection.ts';
import type { DescriptorIndex } from './descriptors.ts';
import { duplex, failure } from './handler.ts';
import type { Edge } from './handler.ts';
import { rawStream } from './raw-stream.ts';

export const reflectionServices = ['grpc.reflection.v1.ServerReflection', 'grpc.reflection.v1alpha.ServerReflection'] as const;

/** Bytes, so that the messages too are loaded when the first one comes. */
export function reflectionDefinition(service: (typeof reflectionServices)[number]) {
  return {
    serverReflectionInfo: rawStream(`/${service}/ServerReflectionInfo`),
  } as const;
}

export interface ReflectionParts<Caller> {
  readonly edge: Edge<Caller>;
  /** All that the server serves, by full name: nothing else is told of. */
  readonly services: readonly string[];
  /** Held while a call lasts. */
  readonly hold?: ((caller: Caller) => Disposable) | undefined;
}

export function reflectionHandler<Caller>({ edge, services, hold }: ReflectionParts<Caller>): handleBidiStreamingCall<Buffer, Buffer> {
  let loading: Promise<(request: Buffer, told: Set<string>) => Buffer> | undefined;
  const load = async (): Promise<(request: Buffer, told: Set<string>) => Buffer> => {
    const [{ DescriptorIndex: Index }, messages] = await Promise.all([import('./descriptors.ts'), import('../gen/grpc/reflection/v1/reflection.ts')]);
    const index = new Index(services);
    return (bytes, told) => {
      const request = read(() => messages.ServerReflectionRequest.decode(bytes));
      return Buffer.from(messages.ServerReflectionResponse.encode(answer(index, services, request, told)).finish());
    };
  };
  return duplex<Caller, Buffer, Buffer>(edge, (caller, call) => {
    const run = async (): Promise<void> => {
      using _ = hold?.(caller);
      const told = new Set<string>();
      for await (const request of call as AsyncIterable<Buffer>) {
        const response = (await (loading ??= load()))(request, told);
        if (!call.write(response) && !call.cancelled) await Promise.race([once(call, 'drain'), once(call, 'close')]);
      }
    };
    run().then(
      () => call.end(),
      (thrown: unknown) => {
        if (!call.cancelled) call.emit('error', failure(edge, thrown, call.getPath()));
      },
    );
  });
}

function read(decode: () => ServerReflectionRequest): ServerReflectionRequest {
  try {
    return decode();
  } catch (error) {
    throw new BrokerError('invalid', 'this is no question of server reflection', { cause: error });
  }
}

/** @throws BrokerError `invalid` for a question of no known kind */
function answer(index: DescriptorIndex, services: readonly string[], request: ServerReflectionRequest, told: Set<string>): ServerReflectionResponse {
  const { messageRequest: question } = request;
  const reply = (messageResponse: ServerReflectionResponse['messageResponse']): ServerReflectionResponse => ({ validHost: request.host, originalRequest: request, messageResponse });
  const missing = (errorMessage: string): ServerReflectionResponse => reply({ $case: 'errorResponse', value: { errorCode: status.NOT_FOUND, errorMessage } });
  const file = (name: string | undefined, otherwise: string): ServerReflectionResponse => {
    const files = name === undefined ? undefined : index.withImports(name, told);
    return files === undefined ? missing(otherwise) : reply({ $case: 'fileDescriptorResponse', value: { fileDescriptorProto: [...files] } });
  };
  switch (question?.$case) {
    case 'listServices':
      return reply({ $case: 'listServicesResponse', value: { service: services.toSorted().map((name) => ({ name })) } });
    case 'fileByFilename':
      return file(question.value, 'there is no such file');
    case 'fileContainingSymbol':
      return file(index.fileOf(question.value), 'there is no such symbol');
    case 'fileContainingExtension': {
      const { containingType, extensionNumber } = question.value;
      return file(index.fileOfExtension(containingType, extensionNumber), 'there is no such extension');
    }
    case 'allExtensionNumbersOfType': {
      const numbers = index.extensionsOf(question.value);
      return numbers === undefined ? missing('there is no such message') : reply({ $case: 'allExtensionNumbersResponse', value: { baseTypeName: question.value, extensionNumber: [...numbers] } });
    }
    case undefined:
      throw invalid('a question of server reflection asks for something');
  }
}
