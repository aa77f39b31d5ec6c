/** What a fake model is told and what it answers, in words of no provider. */

export type Wire = 'anthropic' | 'responses' | 'chat' | 'gemini';

export interface Tool {
  readonly name: string;
  /** Takes one text as it stands instead of an object (a custom tool of the Responses API). */
  readonly freeform: boolean;
  readonly parameters: readonly string[];
}

/** One request of an agent, as a conversation. */
export interface Prompt {
  readonly wire: Wire;
  readonly model: string;
  readonly system: string;
  /** What the user said, oldest first, without what agents put around it. */
  readonly users: readonly string[];
  readonly tools: readonly Tool[];
  /** What tools answered since the user last spoke, oldest first. */
  readonly results: readonly string[];
  /** The JSON Schema that the answer must fit, as in agents' side jobs. */
  readonly schema: Schema | undefined;
}

export interface Schema {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly enum?: readonly unknown[];
}

/** One thing a model says. A call of a tool ends the message, as it does with the real ones. */
export type Piece =
  | { readonly text: string }
  | { readonly thought: string }
  | { readonly tool: string; readonly input: Readonly<Record<string, unknown>> | string };

export interface Stage {
  /** Aborts when the agent has hung up. */
  readonly signal: AbortSignal;
  /** Resolves when the test opens the gate of that name; rejects when the agent hangs up first. */
  readonly gate: (name: string) => Promise<void>;
}

export type Script = (prompt: Prompt, stage: Stage) => AsyncIterable<Piece> | Iterable<Piece>;

/** The call of whichever tool of the agent runs a shell command. @throws when it offers none */
export function shellCall(tools: readonly Tool[], command: string): Piece {
  // Out of its sandbox, which not every machine has, and which would keep it from asking.
  const sandbox = tools.some(({ name, parameters }) => name === 'exec_command' && parameters.includes('sandbox_permissions'));
  const freely = sandbox ? { sandbox_permissions: 'require_escalated', justification: 'May I run it?' } : {};
  return callOf(tools, 'runs a command', {
    Bash: { command, description: 'Run a command' },
    exec_command: { cmd: command, ...freely },
    shell_command: { command },
    shell: { command: ['/bin/sh', '-c', command] },
    run_shell_command: { command, description: 'Run a command' },
    bash: { command, description: 'Run a command' },
  });
}

/** The call of whichever tool of the agent writes a new file. @throws when it offers none */
export function writeCall(tools: readonly Tool[], path: string, content: string): Piece {
  const lines = content.split('\n').map((line) => `+${line}`);
  const patch = ['*** Begin Patch', `*** Add File: ${path}`, ...lines, '*** End Patch', ''].join('\n');
  const freeform = tools.some(({ name, freeform }) => name === 'apply_patch' && freeform);
  return callOf(tools, 'writes a file', {
    Write: { file_path: path, content },
    apply_patch: freeform ? patch : { input: patch },
    write_file: { file_path: path, content },
    write: { filePath: path, content },
  });
}

/** Something that fits: of enums the first value, of numbers 1. */
export function sampleOf({ type = 'object', properties = {}, enum: values }: Schema): unknown {
  if (values !== undefined) return values[0];
  switch (type.toLowerCase()) {
    case 'object':
      return Object.fromEntries(Object.entries(properties).map(([name, schema]) => [name, sampleOf(schema)]));
    case 'array':
      return [];
    case 'integer':
    case 'number':
      return 1;
    case 'boolean':
      return false;
    default:
      return 'ok';
  }
}

function callOf(tools: readonly Tool[], what: string, inputs: Readonly<Record<string, Record<string, unknown> | string>>): Piece {
  const name = Object.keys(inputs).find((known) => tools.some((tool) => tool.name === known));
  const input = name === undefined ? undefined : inputs[name];
  if (name === undefined || input === undefined) throw new Error(`no tool that ${what} among ${tools.map((tool) => tool.name).join(', ')}`);
  return { tool: name, input };
}
