/** What is known of each agent that speaks the Agent Client Protocol: how it is started, what it needs, and what its words mean. */
import { join } from 'node:path';
import type { Permissions } from '../../domain/invocation.ts';
import type { Environment } from '../environment.ts';

/** A file that shows a login. */
export interface LoginFile {
  readonly path: string;
  /** It must hold this too. */
  readonly holds?: RegExp;
}

export interface Login {
  /** One of these set means that it can sign in, or needs not to. */
  readonly variables: readonly string[];
  /** One of these found means the same. */
  readonly files: (home: string, env: Environment) => readonly LoginFile[];
  /** Where it may keep its login out of sight. */
  readonly hiddenOn: readonly NodeJS.Platform[];
  /** What to do when nothing was found. */
  readonly hint: string;
}

/** A way to sign in that needs no browser and no terminal. */
export interface SignIn {
  /** As the agent calls it. */
  readonly method: string;
  /** All of these must be set. */
  readonly needs: readonly string[];
}

export interface Preset {
  /** Of the harness. */
  readonly name: string;
  /** As people call the agent. */
  readonly title: string;
  /** The first whose program is found on the agent's PATH is started. */
  readonly commands: readonly (readonly [string, ...string[]])[];
  /** How to get it. */
  readonly install: string;
  /** Variables of the node that it gets: a name, or `PREFIX_*`. */
  readonly variables: readonly string[];
  /** Of those, the ones that would mean something else to it here. */
  readonly withheld: readonly string[];
  /** What else its environment needs, so that it asks what these permissions want asked. */
  readonly settings: (permissions: Permissions) => Readonly<Record<string, string>>;
  /** Undefined: it needs none, or nothing is known of it. */
  readonly login: Login | undefined;
  readonly signIns: readonly SignIn[];
  /** Its own modes in which it asks first; the first that it offers is taken. Empty: it keeps the mode that it starts in. */
  readonly askingModes: readonly string[];
  /** Its own modes in which it never asks. */
  readonly freeModes: readonly string[];
  /** Files and directories of a project that are made for this agent. */
  readonly marks: readonly string[];
  /** Whether it reads AGENTS.md, which is made for any. */
  readonly readsAgentsFile: boolean;
}

/** What a program needs to get out to its model from behind a proxy. */
const network = ['HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY', 'NO_PROXY', 'http_proxy', 'https_proxy', 'all_proxy', 'no_proxy', 'NODE_EXTRA_CA_CERTS', 'SSL_CERT_FILE', 'SSL_CERT_DIR'];

const none = (): Readonly<Record<string, string>> => ({});

/** Any agent of the protocol: its command is the endpoint's. */
export const anyAgent: Preset = {
  name: 'acp',
  title: 'the agent',
  commands: [],
  install: 'put its command after --, for example: beckon agent add fabric --harness acp -- my-agent --acp',
  variables: network,
  withheld: [],
  settings: none,
  login: undefined,
  signIns: [],
  askingModes: [],
  freeModes: ['bypassPermissions', 'yolo', 'full-access'],
  marks: [],
  readsAgentsFile: false,
};

const claude: Preset = {
  name: 'claude',
  title: 'Claude Code',
  commands: [['claude-agent-acp'], ['claude-code-acp']],
  install: 'npm install -g @agentclientprotocol/claude-agent-acp',
  variables: ['ANTHROPIC_*', 'CLAUDE_*', 'IS_SANDBOX', 'DISABLE_TELEMETRY', 'DISABLE_AUTOUPDATER', ...network],
  // Of the Claude Code, or the editor, that the node may have been started in.
  withheld: ['CLAUDE_CODE_ENTRYPOINT', 'CLAUDE_CODE_SSE_PORT', 'CLAUDE_CODE_SESSION_ID'],
  settings: none,
  login: {
    variables: ['ANTHROPIC_API_KEY', 'ANTHROPIC_AUTH_TOKEN', 'CLAUDE_CODE_OAUTH_TOKEN', 'CLAUDE_CODE_USE_BEDROCK', 'CLAUDE_CODE_USE_VERTEX', 'CLAUDE_CODE_USE_FOUNDRY'],
    files: (home, env) => {
      const directory = env['CLAUDE_CONFIG_DIR'] || join(home, '.claude');
      const settings = /"apiKeyHelper"|"ANTHROPIC_(API_KEY|AUTH_TOKEN)"|"CLAUDE_CODE_(OAUTH_TOKEN|USE_(BEDROCK|VERTEX|FOUNDRY))"/;
      return [
        { path: join(directory, '.credentials.json') },
        { path: join(directory, 'settings.json'), holds: settings },
        { path: '/etc/claude-code/managed-settings.json', holds: settings },
        { path: join(env['CLAUDE_CONFIG_DIR'] || home, '.claude.json'), holds: /"primaryApiKey"/ },
      ];
    },
    // Its login is in the keychain.
    hiddenOn: ['darwin'],
    hint: 'run claude and log in, or pass a key on: beckon agent add … --env ANTHROPIC_API_KEY',
  },
  signIns: [],
  askingModes: ['default'],
  freeModes: ['bypassPermissions'],
  marks: ['CLAUDE.md', 'CLAUDE.local.md', '.claude'],
  readsAgentsFile: false,
};

const codex: Preset = {
  name: 'codex',
  title: 'Codex',
  commands: [['codex-acp']],
  install: 'npm install -g @zed-industries/codex-acp',
  variables: ['OPENAI_*', 'CODEX_*', ...network],
  // Of the sandbox that the node may have been started in.
  withheld: ['CODEX_SANDBOX', 'CODEX_SANDBOX_NETWORK_DISABLED'],
  settings: none,
  login: {
    variables: ['OPENAI_API_KEY', 'CODEX_API_KEY', 'CODEX_ACCESS_TOKEN'],
    files: (home, env) => {
      const directory = env['CODEX_HOME'] || join(home, '.codex');
      // A provider of the user's own needs no login with OpenAI.
      return [{ path: join(directory, 'auth.json') }, { path: join(directory, 'config.toml'), holds: /^\s*(model_provider|cli_auth_credentials_store)\s*=/m }];
    },
    hiddenOn: [],
    hint: 'run codex login, or pass a key on: beckon agent add … --env OPENAI_API_KEY',
  },
  signIns: [
    { method: 'codex-api-key', needs: ['CODEX_API_KEY'] },
    { method: 'openai-api-key', needs: ['OPENAI_API_KEY'] },
  ],
  askingModes: ['read-only'],
  freeModes: ['full-access'],
  marks: ['.codex'],
  readsAgentsFile: true,
};

const gemini: Preset = {
  name: 'gemini',
  title: 'Gemini CLI',
  commands: [['gemini', '--acp']],
  install: 'npm install -g @google/gemini-cli',
  variables: ['GEMINI_*', 'GOOGLE_*', ...network],
  withheld: [],
  settings: none,
  login: {
    variables: ['GEMINI_API_KEY', 'GOOGLE_API_KEY', 'GOOGLE_GENAI_USE_VERTEXAI', 'GOOGLE_GENAI_USE_GCA', 'GOOGLE_APPLICATION_CREDENTIALS'],
    files: (home, env) => {
      const directory = join(env['GEMINI_CLI_HOME'] || home, '.gemini');
      const key = /^\s*(export\s+)?(GEMINI|GOOGLE)_API_KEY\s*=/m;
      return [
        { path: join(directory, 'oauth_creds.json') },
        { path: join(directory, '.env'), holds: key },
        { path: join(home, '.env'), holds: key },
        // Signed in by other means than a file of its own, the system's keychain for one.
        { path: join(directory, 'settings.json'), holds: /"selectedType"/ },
      ];
    },
    hiddenOn: [],
    hint: 'run gemini and log in, or pass a key on: beckon agent add … --env GEMINI_API_KEY',
  },
  signIns: [
    { method: 'gemini-api-key', needs: ['GEMINI_API_KEY'] },
    { method: 'vertex-ai', needs: ['GOOGLE_GENAI_USE_VERTEXAI', 'GOOGLE_API_KEY'] },
  ],
  askingModes: ['default'],
  freeModes: ['yolo'],
  marks: ['GEMINI.md', '.gemini'],
  readsAgentsFile: false,
};

/** It has no mode for it: what it would do without asking is in its configuration, which this is laid over. */
const openCodeAsks = JSON.stringify({ edit: 'ask', bash: 'ask', webfetch: 'ask', websearch: 'ask', external_directory: 'ask', doom_loop: 'ask' });

const opencode: Preset = {
  name: 'opencode',
  title: 'OpenCode',
  commands: [['opencode', 'acp']],
  install: 'npm install -g opencode-ai',
  variables: ['OPENCODE_*', 'XDG_CONFIG_HOME', 'XDG_DATA_HOME', 'XDG_STATE_HOME', 'XDG_CACHE_HOME', ...network],
  withheld: [],
  settings: (permissions) => (permissions === 'full' ? {} : { OPENCODE_PERMISSION: openCodeAsks }),
  // It has models that need none.
  login: undefined,
  signIns: [],
  askingModes: [],
  freeModes: [],
  marks: ['opencode.json', 'opencode.jsonc', '.opencode'],
  readsAgentsFile: true,
};

export const presets: readonly Preset[] = [claude, codex, gemini, opencode];

/** Whether a variable of the node's environment is for this agent. */
export function passesOn({ variables, withheld }: Pick<Preset, 'variables' | 'withheld'>, name: string): boolean {
  if (withheld.includes(name)) return false;
  return variables.some((each) => (each.endsWith('*') ? name.startsWith(each.slice(0, -1)) : name === each));
}

/** The way to sign in that is open with this environment, of those that the agent offers. */
export function signInFor(preset: Pick<Preset, 'signIns'>, offered: readonly { readonly id: string; readonly variables: readonly string[] | undefined }[], env: Environment): string | undefined {
  for (const { id, variables } of offered) {
    const needs = variables ?? preset.signIns.find((each) => each.method === id)?.needs;
    if (needs !== undefined && needs.length > 0 && needs.every((name) => (env[name] ?? '') !== '')) return id;
  }
  return undefined;
}
