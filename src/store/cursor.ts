/** Cursors of lists: where a page ended. Opaque to callers, checked when they come back. */
import { invalid } from '../domain/errors.ts';
import type { BrokerError } from '../domain/errors.ts';
import { isInvocationId } from '../domain/ids.ts';
import type { InvocationId } from '../domain/ids.ts';

export type List = 'flights' | 'deliveries';

export function encodeCursor(list: List, lastId: InvocationId): string {
  return Buffer.from(`${list}:${lastId}`).toString('base64url');
}

/** @throws BrokerError `invalid` for what this list never gave */
export function decodeCursor(list: List, cursor: string): InvocationId {
  const text = Buffer.from(cursor, 'base64url').toString('latin1');
  const id = text.slice(list.length + 1);
  if (!text.startsWith(`${list}:`) || !isInvocationId(id) || encodeCursor(list, id) !== cursor) throw badCursor();
  return id;
}

function badCursor(): BrokerError {
  return invalid('that cursor is none of this list', 'give the "next" of the page before, as it is');
}
