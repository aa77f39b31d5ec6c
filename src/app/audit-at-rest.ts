/** The audit of a node that is down, as `doctor` looks at it under the node's lock. */
import { checkAudit } from '../broker/audit-check.ts';
import type { AuditCheckParts } from '../broker/audit-check.ts';
import { auditCheck } from '../domain/audit-words.ts';
import type { Check } from '../domain/checks.ts';
import { toBrokerError } from '../domain/errors.ts';
import { auditReads } from '../store/audit.ts';
import { peek } from '../store/look.ts';
import { schemaVersion } from '../store/migrations.ts';
import { auditKeyOf } from '../trust/audit-key.ts';
import { readKeyFile } from '../trust/key-file.ts';
import { nodeKeyOf } from '../trust/node-key.ts';
import { readAuditAnchor } from './audit-anchor.ts';
import type { Paths } from './paths.ts';

/** Nothing where there is no store, none of this version, or no key. */
export async function auditAtRest({ dbFile, keyFile, auditFile }: Paths): Promise<readonly Check[]> {
  try {
    const key = await readKeyFile(keyFile);
    if (key === undefined) return [];
    const nodeKey = nodeKeyOf(key);
    const seal = { nodeId: nodeKey.nodeId, key: auditKeyOf(nodeKey) };
    const known = await readAuditAnchor(auditFile, seal.key);
    const finding = await peek(dbFile, schemaVersion, async (db) => {
      const read = auditReads(db, seal);
      const inspect: AuditCheckParts['inspect'] = { checkAudit: (range) => Promise.resolve(read.checkAudit(range)), auditNotes: () => Promise.resolve(read.auditNotes()) };
      return await checkAudit({ read, inspect, known: () => known }, false);
    });
    return finding === undefined ? [] : [auditCheck(finding)];
  } catch (thrown) {
    const { message, hint = '' } = toBrokerError(thrown);
    return [{ id: 'audit', ok: false, detail: `it can’t be looked at: ${message}`, hint }];
  }
}
