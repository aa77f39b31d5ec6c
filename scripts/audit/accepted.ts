import type { Acceptance } from './verdict.ts';

/**
 * Advisories of dependencies that Beckon is published with in spite of them: why, in a sentence that a user would accept, and until
 * when, after which the audit fails again. Half a year at most.
 */
export const accepted: readonly Acceptance[] = [];
