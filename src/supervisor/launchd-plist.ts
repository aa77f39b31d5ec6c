/** The property list of a launchd agent: launchd.plist(5). */
import { invalid } from '../domain/errors.ts';
import type { Launch } from '../domain/supervision-port.ts';
import { join } from 'node:path';
import { quoted } from '../domain/text.ts';
import { drainSeconds } from './systemd-unit.ts';

export const label = 'dev.beckon.node';

/** launchd has no file for the environment: a shell reads it, and becomes the node. */
const script = 'set -a; . "$1"; set +a; shift; exec "$@"';

/** Between two starts, s, counted from the earlier one: a node that ran longer is back at once, one that fails at its start waits. */
const throttleSeconds = 10;

type Value = string | number | boolean | readonly Value[] | { readonly [key: string]: Value };

export function launchdPlist({ argv, environment, stateDir, logDir }: Launch, environmentPath: string): string {
  const log = join(logDir, 'launchd.log');
  const agent: Value = {
    Label: label,
    ProgramArguments: ['/bin/sh', '-c', script, 'beckon', environmentPath, ...argv],
    EnvironmentVariables: { ...environment, BECKON_ENTRY_OF: stateDir },
    RunAtLoad: true,
    KeepAlive: { SuccessfulExit: false },
    ThrottleInterval: throttleSeconds,
    // TERM, and KILL so many seconds later.
    ExitTimeOut: drainSeconds + 30,
    ProcessType: 'Interactive',
    StandardOutPath: log,
    StandardErrorPath: log,
  };
  return `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
${element(agent, '')}
</plist>
`;
}

/** What `launchdPlist` was given as its state directory. */
export function stateDirOfPlist(text: string): string | undefined {
  const found = /<key>BECKON_ENTRY_OF<\/key>\s*<string>([^<]*)<\/string>/.exec(text)?.[1];
  return found?.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&');
}

function element(value: Value, indent: string): string {
  const inner = `${indent}  `;
  if (typeof value === 'string') return `${indent}<string>${escaped(value)}</string>`;
  if (typeof value === 'number') return `${indent}<integer>${value}</integer>`;
  if (typeof value === 'boolean') return `${indent}<${value}/>`;
  if (isList(value)) return `${indent}<array>\n${value.map((each) => `${element(each, inner)}\n`).join('')}${indent}</array>`;
  const pairs = Object.entries(value).map(([key, each]) => `${inner}<key>${escaped(key)}</key>\n${element(each, inner)}\n`);
  return `${indent}<dict>\n${pairs.join('')}${indent}</dict>`;
}

function isList(value: Value): value is readonly Value[] {
  return Array.isArray(value);
}

/** @throws BrokerError `invalid` for control characters, most of which XML 1.0 has no way to write */
function escaped(text: string): string {
  if (/\p{Cc}/u.test(text)) throw invalid(`${quoted(text)} can’t stand in a property list: it has a control character`, 'use a path without one');
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
