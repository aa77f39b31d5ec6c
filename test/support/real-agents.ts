/** Real agents, as `npm run agents` installs them, at work for a fake model: no account, no network, no file of the user's. */
import { execFileSync } from 'node:child_process';
import { globSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { agentsPlace } from '../../scripts/agents/place.ts';
import { processesOf } from './belongings.ts';
import type { Cluster } from './cluster.ts';
import type { FakeModel } from './fake-model/server.ts';
import type { TestNode } from './node-process.ts';
import { isThere } from './programs.ts';

export interface RealAgent {
  /** `--harness`. */
  readonly preset: 'claude' | 'codex' | 'gemini' | 'opencode';
  readonly title: string;
  /** Its program among those that were installed. */
  readonly program: string;
  /** `--env`, and files below its home: what a user would have set up for a model of his own. */
  readonly setUp: (modelUrl: string, home: string) => readonly string[];
  /** Makes its sessions look older, where it can't go on with a young one. */
  readonly ageSessions?: (home: string) => void;
}

const { programs } = agentsPlace(process.env);

export const claude: RealAgent = {
  preset: 'claude',
  title: 'Claude Code',
  program: 'claude-agent-acp',
  // It starts for root only in what it is told is a sandbox.
  setUp: (url) => [`ANTHROPIC_BASE_URL=${url}`, 'ANTHROPIC_API_KEY=none', 'CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1', ...(process.getuid?.() === 0 ? ['IS_SANDBOX=1'] : [])],
};

export const codex: RealAgent = {
  preset: 'codex',
  title: 'Codex',
  program: 'codex-acp',
  setUp: (url, home) => {
    mkdirSync(join(home, '.codex'), { recursive: true });
    const provider = `[model_providers.fake]\nname = "fake"\nbase_url = "${url}/v1"\nwire_api = "responses"\n`;
    writeFileSync(join(home, '.codex', 'config.toml'), `model_provider = "fake"\n\n${provider}`);
    return [];
  },
};

export const gemini: RealAgent = {
  preset: 'gemini',
  title: 'Gemini CLI',
  program: 'gemini',
  setUp: (url) => [`GOOGLE_GEMINI_BASE_URL=${url}`, 'GEMINI_API_KEY=none'],
  // It names the file of a session after the minute, and one that is loaded in the minute of its beginning writes over itself.
  ageSessions: (home) => {
    for (const path of globSync(join(home, '.gemini', 'tmp', '*', 'chats', 'session-*'))) renameSync(path, path.replace(/session-\d{4}/, 'session-2001'));
  },
};

export const opencode: RealAgent = {
  preset: 'opencode',
  title: 'OpenCode',
  program: 'opencode',
  setUp: (url, home) => {
    const provider = { npm: '@ai-sdk/openai-compatible', options: { baseURL: `${url}/v1`, apiKey: 'none' }, models: { fake: { name: 'fake', tool_call: true } } };
    mkdirSync(join(home, '.config', 'opencode'), { recursive: true });
    const config = { provider: { fake: provider }, model: 'fake/fake', small_model: 'fake/fake', autoupdate: false };
    writeFileSync(join(home, '.config', 'opencode', 'opencode.json'), JSON.stringify(config));
    return ['OPENCODE_DISABLE_AUTOUPDATE=1', 'OPENCODE_DISABLE_MODELS_FETCH=1'];
  },
};

export const realAgents: readonly RealAgent[] = [claude, codex, gemini, opencode];

/** Why these can't run here; undefined when they can. */
export function notInstalled(...agents: readonly RealAgent[]): string | undefined {
  const absent = agents.filter(({ program }) => !isThere(join(programs, program)));
  return absent.length === 0 ? undefined : `${absent.map(({ title }) => title).join(', ')} not installed: npm run agents`;
}

/** An agent that was added to a node. */
export interface Placed {
  readonly address: string;
  /** Its project: a git repository on branch main. */
  readonly cwd: string;
  /** Its HOME, in the environment of each of its processes and of theirs. */
  readonly home: string;
}

/** Adds it to the node as its user would, in a project and with a home of its own. */
export async function place(cluster: Cluster, node: TestNode, agent: RealAgent, model: FakeModel, name: string = agent.preset, flags: readonly string[] = []): Promise<Placed> {
  const cwd = cluster.path(`${name}-project`);
  const home = cluster.path(`${name}-home`);
  for (const directory of [cwd, home]) mkdirSync(directory);
  execFileSync('git', ['init', '--quiet', '--initial-branch=main'], { cwd });
  const env = [`HOME=${home}`, ...agent.setUp(model.url, home)];
  // The pinned Node first: some of these want a newer one than the machine may have.
  const path = [join(process.execPath, '..'), programs, process.env['PATH']].join(delimiter);
  await node.json(['agent', 'add', name, '--harness', agent.preset, '--cwd', cwd, ...env.flatMap((each) => ['--env', each]), ...flags], { env: { PATH: path } });
  return { address: `@${name}@${node.name}#main`, cwd, home };
}

/** All that runs for it: itself, what it started, and what that started. */
export function processesOfAgent({ home }: Placed): ReturnType<typeof processesOf> {
  return processesOf(`HOME=${home}`);
}
