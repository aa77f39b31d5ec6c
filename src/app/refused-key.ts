/**
 * That a mesh has refused this node's key as one that was removed from it. Such a node is in no mesh, and may never have heard of its
 * removal: it left before. Kept beside the database until `mesh leave` gives it another key, or a mesh takes this one.
 */
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { MembershipPorts } from '../broker/membership.ts';
import { conflict } from '../domain/errors.ts';
import { syncDirectory, writeDurably } from './durable-file.ts';
import type { Paths } from './paths.ts';
import { isRekeyWished, refusedKeyPath, wishRekey } from './rekey.ts';

export class RefusedKey {
  readonly #paths: Pick<Paths, 'stateDir'>;
  readonly #path: string;

  constructor(paths: Pick<Paths, 'stateDir'>) {
    this.#paths = paths;
    this.#path = refusedKeyPath(paths.stateDir);
  }

  /** A mesh that was entered with this key would be set aside with it. @throws BrokerError `conflict` when the next start brings another */
  check(): void {
    if (isRekeyWished(this.#paths)) throw conflict('this node has another key from its next start on, and enters with that', 'beckon restart, and then again');
  }

  isNoted(): boolean {
    return existsSync(this.#path);
  }

  /** Durable when it resolves. @throws the system's error */
  async note(): Promise<void> {
    await writeDurably(this.#path, 'a mesh refused this key as one that was removed from it\n');
  }

  /** @throws the system's error */
  async forget(): Promise<void> {
    if (!this.isNoted()) return;
    await rm(this.#path, { force: true });
    await syncDirectory(dirname(this.#path));
  }
}

/** What the core asks of this node's key. */
export function keyPorts(paths: Pick<Paths, 'stateDir'>): Pick<MembershipPorts, 'renewKey' | 'isKeyRefused'> {
  return { renewKey: () => wishRekey(paths), isKeyRefused: () => new RefusedKey(paths).isNoted() };
}
