/** Tables whose keys a person chose, in files that are read by a schema. */
import { z } from 'zod';

/** As `z.record`, but for a key `__proto__`: that passes it over without a word, and here it is refused, in the words of the key's schema. */
export function tableOf<Key extends z.ZodType<string, string>, Value extends z.ZodType>(key: Key, value: Value) {
  return z.preprocess((table, context) => {
    const name = '__proto__';
    if (typeof table !== 'object' || table === null || !Object.hasOwn(table, name)) return table;
    const { error } = key.safeParse(name);
    context.issues.push({ code: 'invalid_key', origin: 'record', issues: error?.issues ?? [], input: table, path: [name] });
    return table;
  }, z.record(key, value));
}
