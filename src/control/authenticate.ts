/** Who calls through the control socket. */
import type { LocalCaller } from '../broker/api.ts';
import type { Calling } from '../rpc/handler.ts';

/**
 * Only this user can open the socket, so whoever got through is this user. Processes of a flight will be told apart
 * here, by a token in the call's metadata, and nowhere else.
 */
export function authenticate(uid: number): (call: Calling) => LocalCaller {
  const caller: LocalCaller = { id: `uid:${uid}` };
  return () => caller;
}
