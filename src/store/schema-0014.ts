/** How much of an agent's work runs at once, and how much may wait for it. */
export const schema0014 = `
-- Null: as many as is usual.
ALTER TABLE agent_endpoints ADD COLUMN concurrency INTEGER;
ALTER TABLE agent_endpoints ADD COLUMN queue INTEGER;
`;
