/** The audit. */
export const schema0030 = `
-- Who was let in, put out, trusted and denied, by whom and from where. Node ids stand as text: rows mean the same when all else is forgotten.
CREATE TABLE audit (
  number INTEGER PRIMARY KEY CHECK (number > 0),
  at_ms INTEGER NOT NULL,
  kind TEXT NOT NULL,
  who TEXT NOT NULL,
  whence TEXT NOT NULL,
  about TEXT NOT NULL,
  -- How many of these the row stands for.
  times INTEGER NOT NULL CHECK (times > 0),
  -- Over the row before and all columns of this one.
  hash TEXT NOT NULL
) STRICT;
CREATE INDEX audit_by_time ON audit (at_ms);
CREATE INDEX audit_of_itself ON audit (number) WHERE kind IN ('audit.broken', 'audit.noted', 'store.put_back');
CREATE TRIGGER audit_never_changes BEFORE UPDATE ON audit
BEGIN SELECT raise(ABORT, 'a row of the audit is never changed'); END;
CREATE TRIGGER audit_stays BEFORE DELETE ON audit
BEGIN SELECT raise(ABORT, 'a row of the audit is never removed'); END;
CREATE TRIGGER audit_grows_at_its_end BEFORE INSERT ON audit
WHEN new.number IS NOT (SELECT coalesce(max(number), 0) + 1 FROM audit)
BEGIN SELECT raise(ABORT, 'a row of the audit comes behind all others'); END;
`;
