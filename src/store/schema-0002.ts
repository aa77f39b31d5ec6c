/** Processes of running flights, to be found again by the next start; and which targets led to an invocation. */
export const schema0002 = `
ALTER TABLE invocations ADD COLUMN path TEXT NOT NULL DEFAULT '[]';
CREATE INDEX invocations_by_parent ON invocations (parent_id, id) WHERE parent_id IS NOT NULL;

-- Only of what runs: the rows of a flight go with its end.
CREATE TABLE flight_processes (
  invocation_id TEXT NOT NULL REFERENCES flights,
  pid INTEGER NOT NULL,
  session INTEGER NOT NULL,
  started_at TEXT NOT NULL,
  boot_id TEXT NOT NULL,
  PRIMARY KEY (invocation_id, pid)
) STRICT, WITHOUT ROWID;
`;
