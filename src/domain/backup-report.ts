/** What a backup holds. */
import type { FlightState } from './flight.ts';

export interface BackupReport {
  readonly path: string;
  readonly bytes: number;
  readonly schemaVersion: number;
  /** Of the boot in which it was made. */
  readonly epoch: number;
  readonly agents: number;
  readonly members: number;
  readonly flights: Readonly<Partial<Record<FlightState, number>>>;
}
