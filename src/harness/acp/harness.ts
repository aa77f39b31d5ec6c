/** The harness of agents that speak the Agent Client Protocol: one for each preset, and one for any other agent. */
import { toBrokerError } from '../../domain/errors.ts';
import type { Availability, Fit, Harness, Run, RunRequest, RunSink } from '../../domain/harness-port.ts';
import type { SessionId } from '../../domain/ids.ts';
import type { Endpoint } from '../../domain/invocation.ts';
import { requireDirectory } from '../executable.ts';
import { agentCommand, environmentFor, isKnownCommand } from './command-line.ts';
import { fitOf } from './fit.ts';
import { LateRun } from './late-run.ts';
import { loginState } from './login.ts';
import type { RunParts } from './run.ts';

export class AcpHarness implements Harness {
  readonly name: string;
  readonly keepsSessions = true;
  readonly #parts: RunParts;

  constructor(parts: RunParts) {
    this.#parts = parts;
    this.name = parts.preset.name;
  }

  async check(endpoint: Endpoint): Promise<Availability> {
    const { preset, environment } = this.#parts;
    try {
      await requireDirectory(endpoint.cwd);
      await agentCommand(preset, endpoint);
      const env = environmentFor(preset, environment, endpoint, {});
      const { login } = preset;
      if (login === undefined || !isKnownCommand(preset, endpoint) || (await loginState(login, env, process.platform)) !== 'out') return { available: true };
      return { available: false, why: `${preset.title} is not logged in: ${login.hint}` };
    } catch (error) {
      const { message, hint } = toBrokerError(error);
      return { available: false, why: hint === undefined ? message : `${message}: ${hint}` };
    }
  }

  fit(cwd: string): Promise<Fit | undefined> {
    return fitOf(this.#parts.preset, cwd);
  }

  start(request: RunRequest, sink: RunSink): Run {
    return new LateRun(import('./run.ts').then(({ AcpRun }) => new AcpRun(request, sink, this.#parts)));
  }

  endSession(session: SessionId): Promise<void> {
    return this.#parts.warm.end(session);
  }

  close(): Promise<void> {
    return this.#parts.warm.close();
  }
}
