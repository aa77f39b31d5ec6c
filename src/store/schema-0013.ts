/** Lists of flights by agent and node, however few of them match. */
export const schema0013 = `
DROP INDEX flights_ended_by_agent;
DROP INDEX flights_ended_by_peer;
-- By agent and node, '@fabric@laptop#': the nodes of an agent are few, and its workspaces need not be.
CREATE INDEX flights_ended_by_place ON flights (substr(target, 1, instr(target, '#')), state, invocation_id) WHERE finished_at_ms IS NOT NULL;

-- With the target, so that many that wait are looked through without their rows.
DROP INDEX flights_by_state;
CREATE INDEX flights_by_state ON flights (state, invocation_id, target);
`;
