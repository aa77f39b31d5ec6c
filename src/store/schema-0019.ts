/** More than one root, and by whom a member was let in. */
export const schema0019 = `
-- Later roots, certificates of issuers by them, and what they say of issuers, as it travels: trust/authorities.ts. Null: there is the first root alone.
ALTER TABLE mesh ADD COLUMN authorities BLOB;
-- When the key of the mesh was last written to a recovery file here, or read from one. Null: never, or before this was kept.
ALTER TABLE mesh ADD COLUMN recovery_at_ms INTEGER;
-- DER, of the issuer that signed the first certificate of this member that was seen here.
ALTER TABLE members ADD COLUMN let_in_by BLOB;
UPDATE members SET let_in_by = issuer;
`;
