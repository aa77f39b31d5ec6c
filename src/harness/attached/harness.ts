/**
 * The harness `attached`: an agent is a process that connected to its node and serves it. Nothing is started here; a
 * run goes to one of the processes that are connected, and the agent is available while there is one.
 */
import type { Availability, Harness, Run, RunEnd, RunRequest, RunSink } from '../../domain/harness-port.ts';
import type { Endpoint } from '../../domain/invocation.ts';
import type { Clock } from '../../domain/ports.ts';
import type { Attach, ServedAgents, ServerLink, Serving } from '../../domain/serving-port.ts';
import { AttachedRun } from './attached-run.ts';
import { ServedAgent } from './served-agent.ts';

export interface AttachedPorts {
  readonly clock: Clock;
  /** Who serves this agent, or how many runs it takes, has changed. Resolves when all can see it; never rejects. */
  readonly onServersChanged: (address: string) => Promise<void>;
}

export class AttachedHarness implements Harness, ServedAgents {
  readonly name = 'attached';
  /** A process is told which session a run belongs to; what it makes of it is its own. */
  readonly keepsSessions = true;
  readonly #ports: AttachedPorts;
  readonly #agents = new Map<string, ServedAgent>();

  constructor(ports: AttachedPorts) {
    this.#ports = ports;
  }

  check({ address, argv }: Endpoint): Promise<Availability> {
    if (argv.length > 0) return Promise.resolve({ available: false, why: 'an attached agent has no command: its process comes to the node' });
    const isServed = this.#agents.get(address)?.isServed === true;
    return Promise.resolve(isServed ? { available: true } : { available: false, why: nobodyServes });
  }

  concurrency(address: string): number {
    return this.#agents.get(address)?.concurrency ?? 0;
  }

  start(request: RunRequest, sink: RunSink): Run {
    const { address } = request.endpoint;
    // One that just lost its last process may have it back in a moment; where none ever was, nobody is waited for.
    return this.#agents.has(address) ? this.#begin(request, sink) : endedRun({ error: { code: 'unavailable', message: `${address}: ${nobodyServes}`, hint: 'it was not begun: start the process that serves it' } });
  }

  adopt(request: RunRequest, sink: RunSink, pieces: number): Run {
    return this.#begin(request, sink, pieces);
  }

  attach(attach: Attach, link: ServerLink): Serving {
    const agent = this.#agent(attach.address);
    const server = agent.attach(attach, link);
    void this.#ports.onServersChanged(agent.address).then(() => link.send({ type: 'listed' }));
    return {
      receive: (message) => {
        agent.receive(server, message);
        if (message.type === 'drain') void this.#ports.onServersChanged(agent.address);
      },
      lost: () => {
        if (agent.detach(server)) void this.#ports.onServersChanged(agent.address);
      },
    };
  }

  renamed(from: string, to: string): void {
    const agent = this.#agents.get(from);
    if (agent === undefined) return;
    this.#agents.delete(from);
    this.#agents.set(to, agent);
    agent.renamed(to);
  }

  removed(address: string): void {
    const agent = this.#agents.get(address);
    agent?.removed();
    if (agent?.isIdle === true) this.#agents.delete(address);
  }

  #begin(request: RunRequest, sink: RunSink, adopted?: number): Run {
    const agent = this.#agent(request.endpoint.address);
    const run: AttachedRun = new AttachedRun(request, sink, {
      clock: this.#ports.clock,
      onOver: () => agent.dispatch(),
      onSettled: () => agent.forget(run),
      ...(adopted === undefined ? {} : { adopted: { pieces: adopted } }),
    });
    agent.add(run);
    return run;
  }

  #agent(address: string): ServedAgent {
    const agent = this.#agents.get(address) ?? new ServedAgent(address);
    this.#agents.set(address, agent);
    return agent;
  }
}

const nobodyServes = 'no process serves it now';

function endedRun(end: RunEnd): Run {
  return { ended: Promise.resolve(end), stop: () => Promise.resolve(0) };
}
