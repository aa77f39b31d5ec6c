/** Bytes too many for a row that is found by its key. */
export const schema0015 = `
-- SQLite reads the whole of every long row of a table without rowids that it passes on its way to another: with a task of 16 MiB
-- in the table, 6 ms for each short one beside it. So those bytes are here, and the row has their id. Rows of before have their own.
CREATE TABLE large_bytes (
  id INTEGER PRIMARY KEY,
  bytes BLOB NOT NULL
) STRICT;
ALTER TABLE payloads ADD COLUMN large INTEGER;
ALTER TABLE payload_files ADD COLUMN large INTEGER;
ALTER TABLE flight_events ADD COLUMN large INTEGER;
CREATE TRIGGER payloads_large AFTER DELETE ON payloads WHEN old.large IS NOT NULL
  BEGIN DELETE FROM large_bytes WHERE id = old.large; END;
CREATE TRIGGER payload_files_large AFTER DELETE ON payload_files WHEN old.large IS NOT NULL
  BEGIN DELETE FROM large_bytes WHERE id = old.large; END;
CREATE TRIGGER flight_events_large AFTER DELETE ON flight_events WHEN old.large IS NOT NULL
  BEGIN DELETE FROM large_bytes WHERE id = old.large; END;
CREATE TRIGGER flight_events_emptied AFTER UPDATE OF large ON flight_events WHEN old.large IS NOT NULL AND new.large IS NULL
  BEGIN DELETE FROM large_bytes WHERE id = old.large; END;
`;
