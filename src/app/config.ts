/** What can be set for a node, by its config file, its environment and its flags: the words, what each may be, and what a node makes of them. */
import { z } from 'zod';
import { parseDuration } from '../domain/duration.ts';
import { toBrokerError } from '../domain/errors.ts';
import { formatHostPort, gossipPort, meshPort, metricsPort, parseHostPort } from '../domain/host-port.ts';
import { logLevels } from '../domain/log-fields.ts';
import type { LogLevel } from '../domain/log-fields.ts';
import { parseName } from '../domain/name.ts';
import type { ProjectOverride } from '../domain/project.ts';
import { readEndpoint } from './collector-address.ts';
import { mostQueued, usualHeldLimit } from '../domain/queue-share.ts';
import { projectFields, workspaceField } from '../discovery/manifest.ts';
import { tableOf } from '../discovery/table.ts';

const place = z.string().regex(/^(~$|~\/|\/)/, 'is no absolute path, and does not begin with ~/');

export const projectOverride = z.strictObject({ ignore: z.boolean().optional(), ...projectFields, default_workspace: workspaceField });

/** A text that `read` takes, as `read` writes it. @param read throws a BrokerError that says what is wrong */
function readable(read: (text: string) => string): z.ZodType<string, string> {
  return z.string().transform((text, context) => {
    try {
      return read(text);
    } catch (error) {
      context.addIssue(toBrokerError(error).message);
      return z.NEVER;
    }
  });
}

const asWritten = (check: (text: string) => unknown) => (text: string): string => {
  check(text);
  return text;
};
const hostPort = readable((text) => formatHostPort(parseHostPort(text, meshPort)));
const hostPorts = z.array(hostPort).min(1, 'names no address').max(100, 'has more than 100 entries');

/** Keys are those of the file; a key that is absent is not set. */
export const settingsSchema = z.strictObject({
  /** What this node is called. */
  name: readable(parseName).optional(),
  /** Where the network port listens, and nowhere else. */
  listen: hostPorts.optional(),
  gossip_listen: readable((text) => (text === 'auto' || text === 'off' ? text : formatHostPort(parseHostPort(text, gossipPort)))).optional(),
  /** Where other nodes of the mesh may be. */
  seeds: hostPorts.optional(),
  tailscale: z.string().regex(/^(auto|off|\/.*)$/, 'is none of auto, off and the absolute path of a socket').optional(),
  /** Where it tells metrics, to whoever can reach it there. */
  metrics_listen: readable((text) => (text === 'off' ? text : formatHostPort(parseHostPort(text, metricsPort)))).optional(),
  /** The least that is logged. */
  log_level: z.enum(logLevels).optional(),
  /** When the log's file is put aside for a new one, MB (1,000,000 bytes). */
  log_size_mb: z.int('is no whole number').min(1, 'is less than 1').max(1000, 'is more than 1000').optional(),
  /** How many files the log has at most, with the one that is written. */
  log_files: z.int('is no whole number').min(1, 'is less than 1').max(100, 'is more than 100').optional(),
  /** Told when a flight waits or has finished: a program and its arguments. */
  notify: z.array(z.string().refine((each) => !each.includes('\0'), 'has a NUL byte')).min(1, 'names no program').optional(),
  /** For every flight of this node, not only those with --notify. */
  notify_all: z.boolean().optional(),
  /** How long what an agent asks waits for an answer, unless the agent says otherwise. */
  request_timeout: readable(asWritten(parseDuration)).optional(),
  /** How many invocations may wait here for one other node. */
  held_limit: z.int('is no whole number').min(1, 'is less than 1').max(mostQueued, `is more than ${mostQueued}`).optional(),
  /** Where spans of traces go: the address of a collector, or `off`. */
  traces_endpoint: readable((text) => (text === 'off' ? text : readEndpoint(text))).optional(),
  /** The part of the traces that begin here which is told. */
  traces_ratio: z.number('is no number').min(0, 'is less than 0').max(1, 'is more than 1').optional(),
  /** Where projects are looked for. */
  roots: z.array(place).max(100, 'has more than 100 entries').optional(),
  /** What the person of this machine says of a project, by its directory. */
  projects: tableOf(place, projectOverride).optional(),
});

export type Settings = z.output<typeof settingsSchema>;
export type SettingKey = keyof Settings;

export interface SettingAbout {
  /** A line of the file. */
  readonly example: string;
  /** How a variable's text is read; tables have no variable. */
  readonly kind: 'text' | 'list' | 'truth' | 'number' | 'fraction' | 'table';
  /** A running node takes a new value on SIGHUP; else it waits for a restart. */
  readonly isLive: boolean;
  /** The flag of `up`, where there is one. */
  readonly flag?: string;
}

export const about: Readonly<Record<SettingKey, SettingAbout>> = {
  name: { example: 'name = "laptop"', kind: 'text', isLive: false, flag: '--name' },
  listen: { example: 'listen = ["192.168.1.5:7423"]', kind: 'list', isLive: false, flag: '--listen' },
  gossip_listen: { example: 'gossip_listen = "auto"', kind: 'text', isLive: false, flag: '--gossip-listen' },
  seeds: { example: 'seeds = ["192.168.1.6:7423"]', kind: 'list', isLive: false, flag: '--seed' },
  tailscale: { example: 'tailscale = "off"', kind: 'text', isLive: false, flag: '--tailscale' },
  metrics_listen: { example: 'metrics_listen = "127.0.0.1:7425"', kind: 'text', isLive: true, flag: '--metrics' },
  log_level: { example: 'log_level = "debug"', kind: 'text', isLive: true },
  log_size_mb: { example: 'log_size_mb = 10', kind: 'number', isLive: true },
  log_files: { example: 'log_files = 5', kind: 'number', isLive: true },
  notify: { example: 'notify = ["notify-send", "Beckon"]', kind: 'list', isLive: true },
  notify_all: { example: 'notify_all = true', kind: 'truth', isLive: true },
  request_timeout: { example: 'request_timeout = "30m"', kind: 'text', isLive: true },
  held_limit: { example: 'held_limit = 10000', kind: 'number', isLive: true },
  traces_endpoint: { example: 'traces_endpoint = "http://127.0.0.1:4318"', kind: 'text', isLive: false },
  traces_ratio: { example: 'traces_ratio = 0.1', kind: 'fraction', isLive: false },
  roots: { example: 'roots = ["~/src", "/srv/work"]', kind: 'list', isLive: true },
  projects: { example: '[projects."~/src/shop"] and below it harness = "claude"', kind: 'table', isLive: true },
};

export const settingKeys = Object.keys(about) as readonly SettingKey[];

/** What counts where nothing is set. The others have none that is fixed. */
export const defaults = { gossip_listen: 'auto', tailscale: 'auto', metrics_listen: 'off', log_level: 'info', log_size_mb: 10, log_files: 5, notify_all: false, request_timeout: '10m', held_limit: usualHeldLimit } as const satisfies Settings;

/** What a node makes of its settings. */
export interface Config {
  readonly name?: string;
  readonly listen?: readonly string[];
  readonly gossipListen?: string;
  readonly seeds?: readonly string[];
  readonly tailscale?: string;
  /** host:port; undefined: nowhere. */
  readonly metricsListen?: string;
  readonly logLevel: LogLevel;
  readonly logFileBytes: number;
  readonly logFiles: number;
  readonly notify?: readonly string[];
  readonly notifyAll: boolean;
  readonly requestMs?: number;
  readonly heldLimit?: number;
  /** A URL, or `off`. */
  readonly tracesEndpoint?: string;
  readonly tracesRatio?: number;
  /** As written, `~` and all. */
  readonly roots?: readonly string[];
  readonly projects?: Readonly<Record<string, ProjectOverride>>;
}

export function configOf(settings: Settings): Config {
  const { name, listen, seeds, tailscale, notify, roots, projects, gossip_listen: gossipListen, request_timeout: requestTimeout, metrics_listen: metricsListen, held_limit: heldLimit, traces_endpoint: tracesEndpoint, traces_ratio: tracesRatio } = settings;
  return {
    ...present({ name, listen, gossipListen, seeds, tailscale, notify, heldLimit, roots, tracesEndpoint, tracesRatio }),
    ...present({ requestMs: requestTimeout === undefined ? undefined : parseDuration(requestTimeout), projects: projects === undefined ? undefined : overridesOf(projects) }),
    ...present({ metricsListen: metricsListen === 'off' ? undefined : metricsListen }),
    logLevel: settings.log_level ?? defaults.log_level,
    logFileBytes: (settings.log_size_mb ?? defaults.log_size_mb) * 1_000_000,
    logFiles: settings.log_files ?? defaults.log_files,
    notifyAll: settings.notify_all ?? defaults.notify_all,
  };
}

function overridesOf(projects: NonNullable<Settings['projects']>): Readonly<Record<string, ProjectOverride>> {
  return Object.fromEntries(Object.entries(projects).map(([directory, { default_workspace: defaultWorkspace, ...rest }]) => [directory, present({ ...rest, defaultWorkspace })]));
}

/** Absent is absent. */
export function present<Fields extends object>(fields: Fields): { [Key in keyof Fields]?: Exclude<Fields[Key], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as { [Key in keyof Fields]?: Exclude<Fields[Key], undefined> };
}
