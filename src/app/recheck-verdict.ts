/** What a change of the tailnet means for a session that goes through it. Pure. */
import type { TailnetIdentity, TailnetMachine } from '../domain/tailnet.ts';

export interface Evidence {
  /** Who was at the peer's address when the session began. */
  readonly before: TailnetIdentity;
  /** Who is there now; undefined: the tailnet knows nobody there. */
  readonly now: TailnetIdentity | undefined;
  /** The same as the status lists it; undefined: it does not. */
  readonly machine: Pick<TailnetMachine, 'isOnline' | 'isExpired'> | undefined;
}

/** `probe`: it may be gone, and only its silence proves it. `cut`: what the session stands on belongs to somebody else. */
export type Verdict = { readonly kind: 'keep' } | { readonly kind: 'probe' | 'cut'; readonly why: string };

export function judgeSession({ before, now, machine }: Evidence): Verdict {
  if (now === undefined) return { kind: 'probe', why: `the tailnet no longer knows ${before.name} at its address` };
  if (now.id !== before.id) return { kind: 'cut', why: `its address in the tailnet is that of another machine now: ${now.name}` };
  const [was, is] = [ownerOf(before), ownerOf(now)];
  if (was !== is) return { kind: 'cut', why: `${now.name} belongs to ${is} in the tailnet now, no longer to ${was}` };
  if (now.isExpired || machine?.isExpired === true) return { kind: 'probe', why: `the tailnet key of ${now.name} has expired` };
  if (machine === undefined) return { kind: 'probe', why: `the tailnet no longer lists ${now.name}` };
  if (!machine.isOnline) return { kind: 'probe', why: `the tailnet calls ${now.name} offline` };
  if (tagsOf(before) !== tagsOf(now)) return { kind: 'probe', why: `${now.name} has other tags in the tailnet now` };
  return { kind: 'keep' };
}

/** Tagged machines belong to no person; which tags they have is the policy's matter. */
function ownerOf({ user, tags }: TailnetIdentity): string {
  return tags.length > 0 ? 'its tags' : (user ?? 'nobody');
}

function tagsOf({ tags }: TailnetIdentity): string {
  return tags.toSorted().join();
}
