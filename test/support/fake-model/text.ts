/** Agents wrap what the user said into context of their own; what is left of it is the user's. */

export function joined(parts: readonly (string | undefined)[]): string {
  return parts.filter((part) => part !== undefined).join('\n');
}

/**
 * The user's own words among the text parts of one message; undefined when there are none. Context comes as parts of
 * their own that begin with a tag (`<system-reminder>`, `<environment_context>`), or behind a heading.
 */
export function spoken(parts: readonly (string | undefined)[]): string | undefined {
  const own = parts.filter((part): part is string => part !== undefined && !/^\s*(<|# AGENTS\.md|This is the Gemini CLI)/.test(part));
  return own.length === 0 ? undefined : own.join('\n').trim();
}
