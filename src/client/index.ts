/**
 * The public SDK: calling agents from a program, and being one. `connect` finds this machine's node as the command line
 * does.
 */
export { connect } from './beckon.ts';
export type { Beckon, BeckonOptions } from './beckon.ts';
export { Call } from './call.ts';
export type { CallOptions, CallResult } from './call.ts';
export { GroupCall } from './group-call.ts';
export type { Content, InvokeAllOptions, InvokeOptions } from './invoke-options.ts';
export type { Handler, Question, RunContext, ServeOptions, Server } from './serving.ts';
export type { Submission, SubmitOptions, SubmitResult } from './submission.ts';
export type { AcceptedUpdate, FinishedUpdate, OutputUpdate, Update, WaitingUpdate } from './updates.ts';
export type * from './types.ts';
export { BrokerError } from '../domain/errors.ts';
export type { ErrorCandidate, ErrorCode, ErrorInfo } from '../domain/errors.ts';
export type { FlightState, TerminalFlightState } from '../domain/flight.ts';
export type { FlightId, GroupId, InvocationId, NodeId, SessionId } from '../domain/ids.ts';
export type { TaskFile } from '../domain/invocation.ts';
export type { Progress } from '../domain/progress.ts';
export type { TraceContext, TraceHeaders } from '../domain/trace-context.ts';
export type { Answer, Ask } from '../domain/request.ts';
