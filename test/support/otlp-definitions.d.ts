/** The message types of opentelemetry-proto, as protobufjs generated them for an earlier exporter. */
declare module 'otlp-definitions/build/src/generated/root.js' {
  interface Message {
    decode(bytes: Uint8Array): unknown;
    toObject(message: unknown, options: Readonly<Record<string, unknown>>): unknown;
    encode(message: unknown): { finish(): Uint8Array };
  }
  const definitions: { readonly opentelemetry: { readonly proto: { readonly collector: { readonly trace: { readonly v1: { readonly ExportTraceServiceRequest: Message; readonly ExportTraceServiceResponse: Message } } } } } };
  export default definitions;
}
