/** Watching all flights of a group to their ends, or until they are let go. */
import type { Colours } from './output.ts';
import type { Flight } from '../domain/records.ts';
import { countOf } from '../domain/group.ts';
import { neutralise } from '../domain/text.ts';
import type { AcceptedGroup, FlightUpdate, NodeClient } from '../client/types.ts';
import type { Context } from './context.ts';
import { exitOfGroup, exitStillGoing } from './exit.ts';
import { failureOf, FlightView } from './flight-view.ts';
import type { ViewOptions } from './flight-view.ts';
import { cancelGroup } from './group-cancel.ts';
import { MemberOutput, memberContext } from './group-output.ts';
import { cancelWaitMs, Interrupts } from './interrupts.ts';
import type { InterruptOptions } from './interrupts.ts';
import { ReaderGone } from './output.ts';

type Paint = (text: string) => string;

/** @throws BrokerError of a stream, when the node goes away */
export async function watchGroup(context: Context, client: NodeClient, group: AcceptedGroup, options: ViewOptions & InterruptOptions): Promise<number> {
  const { out, host } = context;
  const { groupId, flights } = group;
  const ended = new Map<string, Flight>();
  const note = (text: string): void => {
    if (!options.quiet && !out.isJson) out.note(out.dim(neutralise(text)));
  };
  await begin(context, group, note);
  const interrupts = new Interrupts(context, options, { note, breakLine: () => undefined });
  const abort = new AbortController();
  const reading = AbortSignal.any([interrupts.reading, abort.signal]);
  interrupts.start();
  interrupts.accepted({
    cancel: async () => (await cancelGroup(client, flights, cancelWaitMs)).every(({ confirmed }) => confirmed),
    again: `beckon flight follow ${groupId}`,
    fields: { groupId },
  });
  const watchOne = async (flight: Flight, index: number): Promise<void> => {
    const member = new MemberOutput(host, out, {
      prefix: `${paintOf(out.colours, index)(flight.target)} | `,
      notePrefix: `${paintOf(out.noteColours, index)(flight.target)} | `,
      fields: { invocationId: flight.invocationId, target: flight.target },
      raw: options.raw,
    });
    const view = new FlightView(memberContext(context, member), { ...options, isOfGroup: true });
    try {
      for await (const update of client.follow(flight.id, { signal: reading })) {
        await interrupts.quiet;
        if (reading.aborted) break;
        if (update.type === 'finished') {
          ended.set(flight.id, update.flight);
          await member.flush();
        }
        await view.show(asAccepted(update, group));
      }
    } finally {
      // What came of a line before it was let go.
      if (!out.readerGone.aborted) await member.flush();
    }
  };
  try {
    await Promise.all(
      flights.map(async (flight, index) => {
        try {
          await watchOne(flight, index);
        } catch (thrown) {
          abort.abort();
          throw thrown;
        }
      }),
    );
  } catch (thrown) {
    if (!(thrown instanceof ReaderGone)) throw thrown;
  } finally {
    interrupts.stop();
  }
  const last = flights.map((flight) => ended.get(flight.id) ?? flight);
  if (ended.size < flights.length) return exitStillGoing;
  await tellGroup(context, groupId, last);
  return exitOfGroup(last);
}

async function begin({ out }: Context, { groupId, flights, deduplicated, notes = [] }: AcceptedGroup, note: (text: string) => void): Promise<void> {
  if (out.isJson) return await out.event('group', groupFields({ groupId, flights, deduplicated, notes }), flights[0]?.acceptedAtMs);
  note(`${groupId}  ${flights.length} ${flights.length === 1 ? 'agent' : 'agents'}${deduplicated ? '  (accepted before with this key: following that group)' : ''}`);
  for (const each of notes) out.note(`${out.noteColours.yellow('warning:')} ${neutralise(each)}`);
}

export function groupFields({ groupId, flights, deduplicated, notes = [] }: AcceptedGroup): object {
  return { groupId, targets: flights.map(({ target }) => target), deduplicated, ...(notes.length === 0 ? {} : { notes }) };
}

/** Read from a flight that is there already, it can't say that its key was used before. */
function asAccepted(update: FlightUpdate, { deduplicated }: AcceptedGroup): FlightUpdate {
  return update.type === 'accepted' ? { ...update, deduplicated } : update;
}

/** How it came out: in a line of JSON, or in words on stderr with those that did not complete. */
export async function tellGroup({ out }: Context, groupId: string, flights: readonly Flight[]): Promise<void> {
  const { state, completed, of } = countOf(flights);
  if (out.isJson) return await out.event('group_finished', { groupId, state, completed, of });
  const { bold, red } = out.noteColours;
  out.note(bold(`${completed} of ${of} completed`));
  for (const flight of flights) {
    if (flight.state === 'completed') continue;
    const why = failureOf(flight)?.message;
    // A cancel's own words begin with its state.
    const words = why?.startsWith(flight.state) === true ? why.slice(flight.state.length) : why === undefined ? '' : `: ${why}`;
    out.note(`  ${flight.target}  ${red(flight.state)}${neutralise(words)}`);
  }
}

/** Neighbours differ; none is the red of errors. */
function paintOf({ cyan, magenta, yellow, green, blue }: Colours, index: number): Paint {
  const paints: readonly Paint[] = [cyan, magenta, yellow, green, blue];
  return paints[index % paints.length] ?? cyan;
}
