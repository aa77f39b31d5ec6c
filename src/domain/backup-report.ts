/** What a backup holds, and how far one has come. */
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

/** Bytes of the database: copied as it is written to, then compared with what it is at one moment; at last the copy is checked. */
export type BackupProgress = { readonly step: 'copy' | 'match'; readonly done: number; readonly total: number } | { readonly step: 'check' };
