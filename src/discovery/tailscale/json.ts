/** JSON of a Go program: integers beyond 2^53, null for an empty list or map, keys that come and go. */
import { z } from 'zod';
import { BrokerError } from '../../domain/errors.ts';
import { readBy } from '../../domain/read-by.ts';

/** 16 digits and more may not fit a double. */
const hasLongInteger = /[[:,]\s*-?\d{16,}/;

type Reviver = (this: unknown, key: string, value: unknown, context: { readonly source?: string }) => unknown;

/**
 * An integer that a double can't hold becomes its decimal text; all else is as JSON.parse has it.
 * @throws SyntaxError
 */
export function parseJson(text: string): unknown {
  if (!hasLongInteger.test(text)) return JSON.parse(text);
  const exact: Reviver = (_key, value, { source }) =>
    typeof value === 'number' && Number.isInteger(value) && !Number.isSafeInteger(value) && source !== undefined && /^-?\d+$/.test(source) ? source : value;
  return JSON.parse(text, exact as (this: unknown, key: string, value: unknown) => unknown);
}

/** @throws BrokerError `unavailable`, naming the field: the other program is not what this one knows */
export function decode<T>(schema: z.ZodType<T>, text: string, what: string): T {
  let value: unknown;
  try {
    value = parseJson(text);
  } catch (error) {
    throw new BrokerError('unavailable', `${what} is not JSON`, { cause: error });
  }
  return check(schema, value, what);
}

/** @throws BrokerError `unavailable`, naming the field */
export function check<T>(schema: z.ZodType<T>, value: unknown, what: string): T {
  const result = readBy(schema, value);
  if (result?.success === true) return result.data;
  const [issue] = result?.error.issues ?? [];
  throw new BrokerError('unavailable', `${what} can't be understood: ${issue?.path.join('.').slice(0, 100) ?? ''}: ${issue?.message ?? 'not as expected'}`);
}

/** Missing and null are empty. */
export const text = z.string().nullish().transform((value) => value ?? '');
export const flag = z.boolean().nullish().transform((value) => value ?? false);
export const list = <T extends z.ZodType>(item: T) => z.array(item).nullish().transform((value) => value ?? []);
export const map = <T extends z.ZodType>(item: T) => z.record(z.string(), item).nullish().transform((value) => value ?? {});
/** An id as text, however it was written. */
export const id = z.union([z.string(), z.number().transform(String)]).nullish().transform((value) => value ?? '');
