/** Which distributed trace an invocation belongs to. */
export const schema0017 = `
-- W3C trace context, as domain/trace-context.ts writes it; the parent of a trace that begins here is all zeros. Null: none.
ALTER TABLE invocations ADD COLUMN trace TEXT;
`;
