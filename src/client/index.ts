/** The public SDK: a connection to this machine's node. */
export { connect } from './connect.ts';
export type { ConnectOptions } from './connect.ts';
export type * from './types.ts';
export { BrokerError } from '../domain/errors.ts';
export type { ErrorCandidate, ErrorCode, ErrorInfo } from '../domain/errors.ts';
