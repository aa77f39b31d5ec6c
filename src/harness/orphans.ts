/**
 * Ends what a dead node left running, and nothing else. A recorded process is an orphan only if boot, number, start time
 * and the flight's id in its environment all match. If it has ended itself, the kernel keeps its number from others for
 * as long as its session has members: those are orphans when one of them carries the flight's id and none is older.
 * A process that made a session of its own and lost its parent (a daemon) stays, as it does when its agent ends.
 */
import type { FlightProcess, Orphans } from '../domain/harness-port.ts';
import type { FlightId } from '../domain/ids.ts';
import type { Clock, Log } from '../domain/ports.ts';
import { ProcessGroup } from './process-group.ts';
import { currentBootId, hasVariable, startOf } from './process-mark.ts';
import type { ProcessEntry, ReadProcesses } from './process-table.ts';

/** The variable that names its flight to every process of it. */
const flightVariable = 'BECKON_FLIGHT_ID';

export interface OrphanPorts {
  readonly clock: Clock;
  readonly readProcesses: ReadProcesses;
  readonly log?: Log;
}

export class OrphanSweep implements Orphans {
  readonly #ports: OrphanPorts;

  constructor(ports: OrphanPorts) {
    this.#ports = ports;
  }

  async sweep(left: readonly FlightProcess[], graceMs: number): Promise<ReadonlyMap<FlightId, number>> {
    const ended = new Map<FlightId, number>();
    await Promise.all(
      left.map(async (each) => {
        const count = await this.#end(each, graceMs);
        if (count > 0) ended.set(each.flightId, (ended.get(each.flightId) ?? 0) + count);
      }),
    );
    return ended;
  }

  async #end(left: FlightProcess, graceMs: number): Promise<number> {
    const { clock, readProcesses, log } = this.#ports;
    try {
      if (!(await this.#isOrphan(left))) return 0;
      const group = new ProcessGroup(left.pid, {
        clock,
        // At each look: once its number is another's, nothing of it is left.
        readProcesses: async () => (await readProcesses()).filter((each) => each.session !== left.session || !isAnothers(left)),
        kill: (pid, signal) => void process.kill(pid, signal),
      });
      return await group.end(graceMs);
    } catch (error) {
      log?.error({ err: error, flightId: left.flightId, pid: left.pid }, 'what a dead node left running could not be ended');
      return 0;
    }
  }

  async #isOrphan(left: FlightProcess): Promise<boolean> {
    if (left.bootId !== currentBootId()) return false;
    const startedAt = startOf(left.pid);
    if (startedAt !== undefined) return startedAt === left.startedAt && carriesFlight(left.pid, left.flightId);
    const members = (await this.#ports.readProcesses()).filter((each) => each.session === left.session);
    return members.every((each) => isYounger(each, left)) && members.some((each) => carriesFlight(each.pid, left.flightId));
  }
}

function carriesFlight(pid: number, flightId: FlightId): boolean {
  return hasVariable(pid, flightVariable, flightId);
}

function isYounger({ pid }: ProcessEntry, { startedAt }: FlightProcess): boolean {
  return Number(startOf(pid) ?? Number.POSITIVE_INFINITY) >= Number(startedAt);
}

function isAnothers({ pid, startedAt }: FlightProcess): boolean {
  const now = startOf(pid);
  return now !== undefined && now !== startedAt;
}
