/** Crockford's base32, in which ids are written: https://github.com/ulid/spec. Its digits sort as their values do. */
const digits = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';

/** The last `length` digits of a whole number from 0 to 2^53 - 1. */
export function base32(value: number, length: number): string {
  let text = '';
  for (let rest = value; text.length < length; rest = Math.floor(rest / 32)) text = digits.charAt(rest % 32) + text;
  return text;
}
