/** What waits for an agent, by whose it is. */
export const schema0022 = `
-- Beside flights_queued, which has it in its order: what one caller has waiting is found, and passed over, without a look at each.
CREATE INDEX flights_queued_by_caller ON flights (target, quarantined_at_ms, origin, coalesce(origin_owner, ''), invocation_id, session_id) WHERE state = 'queued' AND owned = 1;
`;
