/** The desk as a store would keep it: tokens by the hash of their secret, used once, with an end. */
import { denied } from '../../../src/domain/errors.ts';
import type { CertificateChain } from '../../../src/domain/trust.ts';
import type { Applicant, EnrolmentDesk, Grant, Welcome } from '../../../src/trust/enrolment.ts';
import type { Advice, MemberCard } from '../../../src/trust/enrolment-messages.ts';
import { hashOfSecret } from '../../../src/trust/token.ts';

interface Invited {
  readonly owner: string;
  readonly endsAtMs: number;
  usedBy?: string;
}

export class TestDesk implements EnrolmentDesk {
  readonly #invited = new Map<string, Invited>();
  readonly #members: MemberCard[];
  readonly admitted: { readonly applicant: Applicant; readonly grant: Grant }[] = [];

  constructor(members: readonly MemberCard[] = []) {
    this.#members = [...members];
  }

  invite(secret: Uint8Array, owner: string, endsAtMs: number = Date.now() + 60_000): void {
    this.#invited.set(hashOfSecret(secret), { owner, endsAtMs });
  }

  #invitationOf({ by }: Applicant): Invited {
    const invited = 'secretHash' in by ? this.#invited.get(by.secretHash) : undefined;
    if (invited === undefined) throw denied('there is no such token');
    if (invited.usedBy !== undefined) throw denied('that token was used');
    if (invited.endsAtMs < Date.now()) throw denied('that token is late');
    return invited;
  }

  quote(applicant: Applicant): Promise<Grant> {
    return Promise.resolve().then(() => {
      const { owner } = this.#invitationOf(applicant);
      const isTaken = this.admitted.some(({ grant }) => grant.name === applicant.name);
      return { name: isTaken ? `${applicant.name}-2` : applicant.name, owner };
    });
  }

  advise(): Promise<Advice> {
    return Promise.resolve({ meshName: 'home', isAdmissible: false, why: 'tokens alone' });
  }

  admit(applicant: Applicant, grant: Grant, chain: CertificateChain): Promise<Welcome> {
    return Promise.resolve().then(() => {
      this.#invitationOf(applicant).usedBy = applicant.nodeId;
      this.admitted.push({ applicant, grant });
      this.#members.push({ chain, addresses: applicant.addresses });
      return { meshName: 'home', members: [...this.#members] };
    });
  }
}
