/** What agents ask of their people: inbox; flight reply, approve, deny. */
import type { Command } from 'commander';
import { formatDuration } from '../domain/duration.ts';
import type { Flight } from '../domain/records.ts';
import { longestReply } from '../domain/request.ts';
import type { Reply } from '../domain/request.ts';
import { neutralise } from '../domain/text.ts';
import { withNode } from './context.ts';
import type { Context } from './context.ts';
import { exitOk, exitStillGoing } from './exit.ts';
import { inboxDocument } from './json.ts';
import { checkId, examples } from './options.ts';
import type { Register } from './options.ts';
import { readText } from './stdin.ts';

/** How long to wait for the owner's word. */
const replyWaitMs = 30_000;
const idHelp = 'an id of the flight or its invocation, 4 or more last characters of one, or last';
const requestHelp = 'the id of its request, 4 or more last characters of it, or last for the one that is open';

export function defineRequests(program: Command, flight: Command, on: Register): void {
  on(
    program
      .command('inbox')
      .description('List all that waits for you: what agents ask, on all nodes of yours.')
      .addHelpText('after', examples('beckon inbox', 'beckon inbox --json')),
    inbox,
  );
  on(
    flight
      .command('reply')
      .argument('<id>', idHelp)
      .argument('<text>', 'what to say, as one argument; - reads stdin')
      .description('Answer the question that an agent waits with.')
      .addHelpText('after', examples('beckon flight reply 8Q2X "the second one"', 'beckon flight reply last - < answer.txt')),
    async (context, [id = '', text = '']) => say(context, id, undefined, { kind: 'text', text: text === '-' ? await readText(context.host.stdin, longestReply) : text }),
  );
  for (const [verb, kind, what] of [
    ['approve', 'approved', 'Allow what an agent asks to do.'],
    ['deny', 'denied', 'Forbid what an agent asks to do.'],
  ] as const) {
    on(
      flight.command(verb).argument('<id>', idHelp).argument('<request>', requestHelp).description(what).addHelpText('after', examples(`beckon flight ${verb} 8Q2X K5B1`, `beckon flight ${verb} last last`)),
      (context, [id = '', request = '']) => say(context, id, checkId(request), { kind }),
    );
  }
}

/** What is asked. The choices of an approval are the agent's words for yes and no, and not for a person to choose from. */
export function promptLines({ reason, prompt, choices }: Pick<NonNullable<Flight['waiting']>, 'reason' | 'prompt' | 'choices'>): string[] {
  const isOpen = reason === 'input' && choices.length > 0;
  return [...prompt.split('\n'), ...(isOpen ? [`choices: ${choices.join(', ')}`] : [])];
}

/** The words to type, so that they can be pasted. */
export function commandsFor(flightId: string, { reason, request }: Pick<NonNullable<Flight['waiting']>, 'reason' | 'request'>): string[] {
  const id = flightId.slice(-6);
  if (reason === 'input') return [`beckon flight reply ${id} "…"`];
  return ['approve', 'deny'].map((verb) => `beckon flight ${verb} ${id} ${request.slice(-6)}`);
}

async function say(context: Context, id: string, request: string | undefined, reply: Reply): Promise<number> {
  const { out } = context;
  checkId(id);
  const said = await withNode(context, (client) => client.replyToFlight({ id, reply, waitMs: replyWaitMs, ...(request === undefined ? {} : { request }) }));
  const { flight, confirmed } = said;
  if (out.isJson) await out.json({ flightId: flight.id, request: said.request, state: flight.state, confirmed });
  else if (confirmed) await out.line(`${flight.id} goes on: ${said.request} ${reply.kind === 'text' ? 'is answered' : `is ${reply.kind}`}`);
  else out.note('not confirmed: its node has not answered yet; the reply is stored and goes there as soon as it can');
  return confirmed ? exitOk : exitStillGoing;
}

async function inbox(context: Context): Promise<number> {
  const { out, host } = context;
  const found = await withNode(context, (client) => client.listWaiting());
  if (out.isJson) {
    await out.json(inboxDocument(found));
    return exitOk;
  }
  const nowMs = host.clock.now();
  for (const { flight, nodeName } of found.waiting) {
    const { waiting } = flight;
    if (waiting === undefined) continue;
    const left = waiting.untilMs === undefined ? '' : `, ${formatDuration(waiting.untilMs - nowMs)} left`;
    await out.line(`${flight.target}  waits for ${waiting.reason} for ${formatDuration(nowMs - waiting.sinceMs)}${left}  (${nodeName})`);
    for (const line of promptLines(waiting)) await out.line(`  ${neutralise(line)}`);
    for (const command of commandsFor(flight.id, waiting)) await out.line(`  ${command}`);
  }
  if (found.waiting.length === 0) out.note('nothing waits for you');
  for (const gap of found.gaps) out.note(`${out.noteColours.yellow('gap:')} ${gap.nodeName}: ${neutralise(gap.why)}`);
  return exitOk;
}
