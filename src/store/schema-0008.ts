/** Who lets others in, who has left, and which meshes this node has left itself. */
export const schema0008 = `
-- It proved to this node that it is an issuer.
ALTER TABLE members ADD COLUMN is_issuer INTEGER NOT NULL DEFAULT 0;
-- Its own signed word that it left; all three null for one that did not.
ALTER TABLE members ADD COLUMN left_at_ms INTEGER;
ALTER TABLE members ADD COLUMN departure BLOB;
ALTER TABLE members ADD COLUMN departure_signature BLOB;

-- Never entered again but by a person's own wish.
CREATE TABLE left_meshes (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  left_at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What a node of a mesh that was left was called, for what is told of the past.
ALTER TABLE nodes ADD COLUMN name TEXT;
`;
