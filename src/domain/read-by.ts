/** Values of others, read by a schema. */

/**
 * As the schema's own `safeParse`; undefined where that stumbles over the value: zod asks what stands in place of a list or a text for its
 * length before it has refused it, and compares what it is given, which can be an object that no number can be made of.
 */
export function readBy<Result>(schema: { readonly safeParse: (value: unknown) => Result }, value: unknown): Result | undefined {
  try {
    return schema.safeParse(value);
  } catch (error) {
    if (error instanceof TypeError) return undefined;
    throw error;
  }
}
