/** What the network port refused, as the audit has it: who it was as far as that was proven, from where, and why. */
import type { Act, Audit, AuditRefusal, Whence, Who } from '../domain/audit.ts';
import type { PeerIdentity } from '../domain/trust.ts';
import { applicantOf } from '../trust/enrolment.ts';
import { handshakeNotEnded, inNoMesh } from '../trust/front.ts';
import type { Refusal } from '../trust/front.ts';

/** Of these nobody wanted anything of this mesh: a look at the port, as nodes make them themselves, and a knock. */
const nothing: ReadonlySet<string> = new Set([handshakeNotEnded, inNoMesh]);

/** Before anybody was let in: the handshake, and what its certificate led to. */
export function frontRefused(audit: Audit, { remoteAddress, why, peer }: Refusal): void {
  if (nothing.has(why)) return;
  if (peer === undefined) audit.refused({ kind: 'session.refused', about: { why } }, { who: { is: 'stranger' }, from: { via: 'network', address: remoteAddress } });
  else peerRefused(audit, peer, why, { via: 'network', address: remoteAddress });
}

/** Its certificate is good, and it is no member all the same. */
export function peerRefused(audit: Audit, { nodeId, name, owner }: PeerIdentity, why: string, from: Whence): void {
  audit.refused({ kind: 'session.refused', about: { nodeId, name, why } }, { who: { is: 'member', nodeId, name, owner }, from });
}

/** At the entrance for those without a certificate. */
export function entranceRefused(audit: Audit, { remoteAddress, why, error }: Refusal): void {
  const applicant = error === undefined ? undefined : applicantOf(error);
  const who: Who = applicant === undefined ? { is: 'stranger' } : { is: 'applicant', ...applicant };
  const act: Act = { who, from: { via: 'entrance', address: remoteAddress } };
  audit.refused(whatOf(why, applicant), act);
}

/** The reason begins with what was asked for. */
function whatOf(text: string, applicant: { readonly nodeId: string; readonly name?: string } | undefined): AuditRefusal {
  const [, what = '', why = text] = /^("\w{1,10}" "[^"]{1,80}"): (.*)$/s.exec(text) ?? [];
  const about = { ...applicant, why };
  if (what === '"POST" "/v1/enrol"') return { kind: 'invite.refused', about };
  if (what === '"POST" "/v1/renew"') return { kind: 'renewal.refused', about };
  return { kind: 'enrolment.refused', about: { what: what.replaceAll('"', ''), why } };
}
