/** What the chain of a node's audit is keyed with: a signature of its own key, as for the tokens of flights, so that nothing has to be kept. */
export function auditKeyOf(key: { sign(message: Uint8Array): Uint8Array }): Uint8Array {
  return key.sign(new TextEncoder().encode('beckon audit key v1'));
}
