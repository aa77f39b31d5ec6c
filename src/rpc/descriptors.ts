/** What server reflection tells: the files that some services are defined in, and what stands in which. Loaded when somebody asks. */
import { fromBinary } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import type { DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto } from '@bufbuild/protobuf/wkt';
import { descriptors } from '../gen/descriptors.ts';

interface File {
  /** A google.protobuf.FileDescriptorProto. */
  readonly bytes: Buffer;
  readonly dependencies: readonly string[];
}

interface Parsed {
  readonly bytes: Buffer;
  readonly proto: FileDescriptorProto;
}

interface Message {
  readonly fullName: string;
  readonly type: DescriptorProto;
}

export class DescriptorIndex {
  readonly #files = new Map<string, File>();
  /** The file of each symbol, by its full name. */
  readonly #symbols = new Map<string, string>();
  /** By the full name of the message that they extend, then by number. Every message has an entry. */
  readonly #extensions = new Map<string, Map<number, string>>();

  /** @param services whose files, and what these import, it has: nothing else is told of. @throws Error for one that no file defines */
  constructor(services: readonly string[]) {
    const parsed = new Map(Object.entries(descriptors).map(([name, text]) => [name, parse(text)]));
    for (const service of services) {
      const found = [...parsed.values()].find(({ proto }) => proto.service.some(({ name }) => qualified(proto.package, name) === service));
      if (found === undefined) throw new Error(`no file defines ${service}`);
      this.#add(found.proto.name, parsed);
    }
  }

  /**
   * That file, then what it imports, as far as it was not `told` before, which grows: what grpc-go does, and clients expect.
   * Undefined: there is no such file.
   */
  withImports(name: string, told: Set<string>): readonly Buffer[] | undefined {
    if (!this.#files.has(name)) return undefined;
    const names = new Set([name]);
    // Grows while it is walked.
    for (const each of names) {
      for (const dependency of this.#files.get(each)?.dependencies ?? []) if (!told.has(dependency)) names.add(dependency);
    }
    return [...names].map((each) => {
      told.add(each);
      return this.#files.get(each)?.bytes ?? Buffer.alloc(0);
    });
  }

  /** @param symbol the full name of a message, field, enum, value, service, method or extension */
  fileOf(symbol: string): string | undefined {
    return this.#symbols.get(symbol);
  }

  fileOfExtension(message: string, number: number): string | undefined {
    return this.#extensions.get(message)?.get(number);
  }

  /** Undefined: there is no such message. */
  extensionsOf(message: string): readonly number[] | undefined {
    const known = this.#extensions.get(message);
    return known === undefined ? undefined : [...known.keys()].toSorted((a, b) => a - b);
  }

  #add(name: string, all: ReadonlyMap<string, Parsed>): void {
    const file = all.get(name);
    if (file === undefined) throw new Error(`${name} is imported and not there`);
    if (this.#files.has(name)) return;
    const { bytes, proto } = file;
    this.#files.set(name, { bytes, dependencies: proto.dependency });
    for (const symbol of symbolsOf(proto)) this.#symbols.set(symbol, name);
    for (const message of messagesOf(proto)) {
      const known = this.#extensions.get(message.fullName) ?? new Map<number, string>();
      this.#extensions.set(message.fullName, known);
    }
    for (const { extendee, number } of extensionsOf(proto)) {
      const message = extendee.replace(/^\./, '');
      this.#extensions.set(message, (this.#extensions.get(message) ?? new Map<number, string>()).set(number, name));
    }
    for (const dependency of proto.dependency) this.#add(dependency, all);
  }
}

function parse(text: string): Parsed {
  const bytes = Buffer.from(text, 'base64');
  return { bytes, proto: fromBinary(FileDescriptorProtoSchema, bytes) };
}

function qualified(scope: string, name: string): string {
  return scope === '' ? name : `${scope}.${name}`;
}

/** Those in others too. */
function messagesOf({ package: scope, messageType }: FileDescriptorProto): readonly Message[] {
  const within = (around: string, types: readonly DescriptorProto[]): Message[] =>
    types.flatMap((type) => {
      const fullName = qualified(around, type.name);
      return [{ fullName, type }, ...within(fullName, type.nestedType)];
    });
  return within(scope, messageType);
}

function extensionsOf(file: FileDescriptorProto): readonly FieldDescriptorProto[] {
  return [...file.extension, ...messagesOf(file).flatMap(({ type }) => type.extension)];
}

function symbolsOf(file: FileDescriptorProto): readonly string[] {
  const named = (scope: string, all: readonly { readonly name: string }[]): string[] => all.map(({ name }) => qualified(scope, name));
  // The values of an enum stand beside it, as in C++.
  const enums = (scope: string, all: readonly EnumDescriptorProto[]): string[] => [...named(scope, all), ...all.flatMap(({ value }) => named(scope, value))];
  return [
    ...enums(file.package, file.enumType),
    ...named(file.package, file.extension),
    ...file.service.flatMap(({ name, method }) => [qualified(file.package, name), ...named(qualified(file.package, name), method)]),
    ...messagesOf(file).flatMap(({ fullName, type }) => [fullName, ...named(fullName, type.field), ...named(fullName, type.oneofDecl), ...named(fullName, type.extension), ...enums(fullName, type.enumType)]),
  ];
}
