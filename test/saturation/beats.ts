/** What becomes of each heartbeat, step by step, on clocks that the nodes of one machine share. */
import { ControlOutlet } from '../../src/mesh/control-outlet.ts';
import { Heartbeat } from '../../src/mesh/heartbeat.ts';
import type * as wire from '../../src/gen/beckon/v1/mesh.ts';

/** In the order in which they follow each other; the third and the fourth at the peer. */
export const steps = ['asked', 'left', 'came', 'replied', 'answered'] as const;
export type Step = (typeof steps)[number];

/** Session, number of the heartbeat, step, ms of the machine's monotonic clock. */
export type Beat = readonly [session: string, number: number, step: Step, atMs: number];

export interface Heartbeats {
  /** Between two answers on one session, and from a heartbeat to its answer: the worst since the last time. */
  readonly gapMs: number;
  readonly roundTripMs: number;
  readonly beats: readonly Beat[];
}

interface Side {
  readonly session: string;
  /** What is first to leave, in its order: the step that it takes then. */
  readonly leaving: ((() => void) | undefined)[];
}

interface Asked {
  readonly atMs: Map<number, number>;
  answeredAtMs: number | undefined;
}

const machineMs = (): number => Number(process.hrtime.bigint()) / 1e6;

type Frame = wire.ControlFrame['frame'];

/** Patched where sessions call it, so that each session is measured by itself. */
export function watchHeartbeats(): () => Heartbeats {
  const sides = new WeakMap<ControlOutlet, Side>();
  const asked = new WeakMap<Heartbeat, Asked>();
  const outlets = new WeakMap<Heartbeat, ControlOutlet>();
  /** The one whose `beat` is under way. */
  const beating: Heartbeat[] = [];
  let told = { gapMs: 0, roundTripMs: 0, beats: [] as Beat[] };
  const note = (session: string, number: number, step: Step): void => void told.beats.push([session, number, step, machineMs()]);

  const addUrgent = Reflect.get(ControlOutlet.prototype, 'addUrgent') as (this: ControlOutlet, frame: Frame) => void;
  const pull = Reflect.get(ControlOutlet.prototype, 'pull') as (this: ControlOutlet) => Uint8Array | undefined;
  const beat = Reflect.get(Heartbeat.prototype, 'beat') as (this: Heartbeat) => void;
  const answered = Reflect.get(Heartbeat.prototype, 'answered') as (this: Heartbeat, number: number) => void;
  Object.assign(ControlOutlet.prototype, {
    addUrgent(this: ControlOutlet, frame: Frame) {
      if (frame?.$case === 'hello') sides.set(this, { session: frame.value.sessionId.toString('hex').slice(0, 8), leaving: [] });
      const side = sides.get(this);
      if (side !== undefined) side.leaving.push(leaves(side.session, frame));
      for (const heartbeat of beating) outlets.set(heartbeat, this);
      addUrgent.call(this, frame);
    },
    pull(this: ControlOutlet) {
      sides.get(this)?.leaving.shift()?.();
      return pull.call(this);
    },
  });
  const leaves = (session: string, frame: Frame): (() => void) | undefined => {
    if (frame?.$case === 'heartbeat') {
      const { number } = frame.value;
      note(session, number, 'asked');
      return () => note(session, number, 'left');
    }
    if (frame?.$case !== 'heartbeatReply') return undefined;
    const { number } = frame.value;
    note(session, number, 'came');
    return () => note(session, number, 'replied');
  };
  Object.assign(Heartbeat.prototype, {
    beat(this: Heartbeat) {
      const mine = asked.get(this) ?? { atMs: new Map<number, number>(), answeredAtMs: undefined };
      asked.set(this, mine);
      mine.atMs.set(mine.atMs.size + 1, performance.now());
      beating.push(this);
      beat.call(this);
      beating.pop();
    },
    answered(this: Heartbeat, number: number) {
      const now = performance.now();
      const mine = asked.get(this);
      const askedAtMs = mine?.atMs.get(number);
      if (mine !== undefined && askedAtMs !== undefined) {
        const gapMs = mine.answeredAtMs === undefined ? 0 : now - mine.answeredAtMs;
        told = { ...told, gapMs: Math.max(told.gapMs, gapMs), roundTripMs: Math.max(told.roundTripMs, now - askedAtMs) };
        mine.answeredAtMs = now;
        const session = sides.get(outlets.get(this) as ControlOutlet)?.session;
        if (session !== undefined) note(session, number, 'answered');
      }
      answered.call(this, number);
    },
  });
  return () => {
    const last = told;
    told = { gapMs: 0, roundTripMs: 0, beats: [] };
    return last;
  };
}
