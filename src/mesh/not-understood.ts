/** What is said of a frame whose kind is known and whose values only a newer version knows: the session goes on. */
import { BrokerError } from '../domain/errors.ts';
import { peerFields } from '../domain/log-fields.ts';
import type { Log } from '../domain/ports.ts';
import type { PeerIdentity } from '../domain/trust.ts';
import { FailureReason } from '../gen/beckon/v1/record.ts';
import type * as wire from '../gen/beckon/v1/mesh.ts';
import { encodeErrorInfo } from '../rpc/error-info.ts';
import type { OwnHello } from './hello.ts';

type Frame = NonNullable<wire.ControlFrame['frame']>;

/** That frame is lost, and its sender told where it waits. @returns what to tell it */
export function notUnderstood(
  frame: Frame,
  { message }: BrokerError,
  { own, ownName, peer, version, log }: { readonly own: OwnHello; readonly ownName: string; readonly peer: PeerIdentity; readonly version: string | undefined; readonly log: Log },
): Frame | undefined {
  const error = new BrokerError('incompatible', `${ownName} runs Beckon ${own.version}: ${message}`, { hint: `update Beckon on ${ownName}` });
  log.warn({ ...peerFields(peer), version, frame: frame.$case }, `not understood, and skipped: ${message}`);
  return refusalOf(frame, error, own.hlc());
}

/** The answer that lets its sender end what it began; undefined where none is expected. */
function refusalOf(frame: Frame, error: BrokerError, hlc: string): Frame | undefined {
  const info = encodeErrorInfo(error.toInfo());
  if (frame.$case === 'forward') {
    const invocationId = frame.value.invocation?.id ?? '';
    return { $case: 'reject', value: { invocationId, reason: FailureReason.INCOMPATIBLE, error: info, hlc } };
  }
  if (frame.$case === 'reply') {
    const { invocationId, request } = frame.value;
    return { $case: 'replyOutcome', value: { invocationId, request, error: info, hlc } };
  }
  return undefined;
}
