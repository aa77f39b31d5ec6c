/** A call whose messages are bytes on both sides: who serves or makes it decodes them itself, later or never. */

const same = (bytes: Buffer): Buffer => bytes;

/** Streams both ways. `path`: `/package.Service/Method`. */
export function rawStream(path: string) {
  return {
    path,
    requestStream: true,
    responseStream: true,
    requestSerialize: same,
    requestDeserialize: same,
    responseSerialize: same,
    responseDeserialize: same,
  } as const;
}
