/** What agents tell of their work; their sessions. */
export const schema0005 = `
-- JSON: what a tool call, plan, diff, thought or usage holds. Null once pruned.
ALTER TABLE flight_events ADD COLUMN detail TEXT;
`;
