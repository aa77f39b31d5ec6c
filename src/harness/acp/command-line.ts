/** From an endpoint to the program that is its agent, and the environment that it runs in. */
import { BrokerError, invalid, unavailable } from '../../domain/errors.ts';
import type { Endpoint } from '../../domain/invocation.ts';
import { agentEnvironment, type Environment } from '../environment.ts';
import { findExecutable } from '../executable.ts';
import { passesOn, type Preset } from './presets.ts';

export interface AgentCommand {
  /** Absolute. */
  readonly file: string;
  readonly argv0: string;
  readonly args: readonly string[];
}

/**
 * The endpoint's own command, or else the first of the preset's that is found on its PATH.
 * @throws BrokerError `unavailable` when there is none, `invalid` when nothing says what to run
 */
export async function agentCommand(preset: Preset, endpoint: Pick<Endpoint, 'argv' | 'path' | 'cwd'>): Promise<AgentCommand> {
  const { argv, path, cwd } = endpoint;
  const [own, ...args] = argv;
  if (own !== undefined) {
    if (own === '' || argv.some((argument) => argument.includes('\0'))) throw invalid('the agent’s command is empty, or has a NUL byte', 'remove the agent and add it again with another command');
    return { file: await findExecutable(own, path, cwd), argv0: own, args };
  }
  if (preset.commands.length === 0) throw invalid(`the harness ${preset.name} needs a command`, preset.install);
  for (const [program, ...rest] of preset.commands) {
    const file = await findExecutable(program, path, cwd).catch(missing);
    if (file !== undefined) return { file, argv0: program, args: rest };
  }
  const [first] = preset.commands;
  throw unavailable(`${preset.title} is not installed: no ${first?.[0]} in PATH (as it was when the agent was added)`, preset.install);
}

function missing(error: unknown): undefined {
  if (error instanceof BrokerError && error.code === 'unavailable') return undefined;
  throw error;
}

/** Whether the agent is started by a program that the preset knows, so that what it knows of logins holds. */
export function isKnownCommand(preset: Preset, { argv }: Pick<Endpoint, 'argv'>): boolean {
  const [own] = argv;
  return own === undefined || preset.commands.some(([program]) => program === own.slice(own.lastIndexOf('/') + 1));
}

/** @throws BrokerError `invalid`, as `agentEnvironment` does */
export function environmentFor(preset: Preset, base: Environment, endpoint: Pick<Endpoint, 'env' | 'path' | 'permissions'>, flightEnv: Readonly<Record<string, string>>): Record<string, string> {
  const env = agentEnvironment(base, endpoint, flightEnv, (name) => passesOn(preset, name));
  // What the user names himself goes before.
  for (const [name, value] of Object.entries(preset.settings(endpoint.permissions))) if (!named(endpoint.env, name)) env[name] = value;
  return env;
}

function named(entries: readonly string[], name: string): boolean {
  return entries.some((entry) => entry === name || entry.startsWith(`${name}=`));
}
