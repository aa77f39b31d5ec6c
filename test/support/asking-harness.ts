/**
 * A harness for tests whose agent does as its task says, a line a step: `say TEXT`, `input PROMPT`, `approval PROMPT`,
 * `both PROMPT|PROMPT` (two requests at once), `within MS` (for the requests that follow), `hang`, `tell JSON` (progress).
 * It prints each answer.
 */
import type { Availability, Harness, Run, RunEnd, RunRequest, RunSink } from '../../src/domain/harness-port.ts';
import type { Progress } from '../../src/domain/progress.ts';
import type { Answer } from '../../src/domain/request.ts';

export class AskingHarness implements Harness {
  readonly name = 'asking';
  readonly keepsSessions = false;
  /** Every answer that an agent was given, over all runs. */
  readonly answers: Answer[] = [];

  check(): Promise<Availability> {
    return Promise.resolve({ available: true });
  }

  start(request: RunRequest, sink: RunSink): Run {
    const stopped = new AbortController();
    return {
      ended: this.#play(request, sink, stopped.signal).catch((): RunEnd => ({ exitCode: 70 })),
      stop: () => {
        const count = stopped.signal.aborted ? 0 : 1;
        stopped.abort();
        return Promise.resolve(count);
      },
    };
  }

  async #play({ task }: RunRequest, sink: RunSink, stopped: AbortSignal): Promise<RunEnd> {
    const print = (text: string): Promise<void> => sink.output('stdout', new TextEncoder().encode(`${text}\n`));
    let timeoutMs: number | undefined;
    for (const line of new TextDecoder().decode(task.text).split('\n')) {
      if (stopped.aborted) return { signal: 'SIGTERM' };
      const [verb = '', ...rest] = line.split(' ');
      const words = rest.join(' ');
      const ask = async (reason: 'input' | 'approval', prompt: string): Promise<void> => {
        const answer = await sink.ask({ reason, prompt, choices: reason === 'approval' ? ['once'] : [], ...(timeoutMs === undefined ? {} : { timeoutMs }) });
        this.answers.push(answer);
        await print(`${prompt}: ${answer.kind}${answer.kind === 'text' ? ` ${answer.text}` : ''}${'by' in answer ? ` by ${answer.by}` : ''}`);
      };
      if (verb === 'say') await print(words);
      else if (verb === 'tell') await sink.progress(JSON.parse(words) as Progress);
      else if (verb === 'within') timeoutMs = Number(words);
      else if (verb === 'input' || verb === 'approval') await ask(verb, words);
      else if (verb === 'both') await Promise.all(words.split('|').map((prompt) => ask('approval', prompt)));
      else if (verb === 'hang') await new Promise<void>((resolve) => stopped.addEventListener('abort', () => resolve(), { once: true }));
    }
    return stopped.aborted ? { signal: 'SIGTERM' } : { exitCode: 0 };
  }
}
