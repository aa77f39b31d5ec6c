/** Who owns a node that no mesh says more of. */
import { flawOfOwner } from '../trust/certificate.ts';
import { currentUser } from './current-user.ts';

/** The person at this machine, as its user name has it. */
export function personHere(): string {
  const { name } = currentUser();
  return flawOfOwner(name) === undefined ? name : 'owner';
}
