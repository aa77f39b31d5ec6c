/** Registrations by the hash of what was signed, so that nodes can compare their sets; where each node listens, in its own signed words. */
export const schema0009 = `
ALTER TABLE registry_heads ADD COLUMN addresses TEXT NOT NULL DEFAULT '[]';
ALTER TABLE registry_heads ADD COLUMN gossip_addresses TEXT NOT NULL DEFAULT '[]';

-- Lower-case hex sha256 of the payload.
ALTER TABLE registrations ADD COLUMN hash TEXT NOT NULL DEFAULT '';
UPDATE registrations SET hash = sha256(payload);
CREATE UNIQUE INDEX registrations_by_hash ON registrations (node, hash);

-- Of the certificate that a departure speaks of: of two words of one node the later counts.
ALTER TABLE members ADD COLUMN left_certified_at_ms INTEGER;
UPDATE members SET left_certified_at_ms = not_before_ms WHERE left_at_ms IS NOT NULL;
CREATE INDEX members_by_name ON members (name);
`;
