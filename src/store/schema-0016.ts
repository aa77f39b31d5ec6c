/** Since when a member has its name, which outlives the certificates that say so. */
export const schema0016 = `
-- Null: since its certificate is in force.
ALTER TABLE members ADD COLUMN named_since_ms INTEGER;
`;
