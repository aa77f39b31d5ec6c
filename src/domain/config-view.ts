/** What is set for a node, where each value comes from, and what is wrong: as `beckon config` shows it. */

/** From the strongest to the weakest. */
export const settingSources = ['flag', 'environment', 'remembered', 'file', 'default'] as const;
export type SettingSource = (typeof settingSources)[number];

/** A value, with what is secret in it left out, and who gave it. */
export interface SettingValue {
  /** As JSON has it; null: nothing is set, and there is no fixed default. */
  readonly value: unknown;
  readonly from: SettingSource;
  /** The flag, the variable, or the file with line and column; empty for a default. */
  readonly where: string;
}

export interface SettingView extends SettingValue {
  readonly key: string;
  /** Given too, and overruled. */
  readonly overruled: readonly SettingValue[];
  /** What a running node would have for it after a restart, or after SIGHUP alone. */
  readonly waiting?: SettingValue & { readonly needs: 'restart' | 'reload' };
}

/** One thing that is wrong. */
export interface ConfigFlaw {
  /** The file, or the variable. */
  readonly source: string;
  /** In a file, from 1. */
  readonly line?: number;
  readonly column?: number;
  readonly message: string;
  readonly hint: string;
}

export interface ConfigView {
  readonly path: string;
  readonly exists: boolean;
  readonly settings: readonly SettingView[];
  /** Of the file as it is now. A node that runs goes on with what it read before. */
  readonly flaws: readonly ConfigFlaw[];
}

/** `config.toml:3:5: what is wrong`. */
export function flawWords({ source, line, column, message }: ConfigFlaw): string {
  return `${source}${line === undefined ? '' : `:${line}:${column ?? 1}`}: ${message}`;
}
