/** What is said of a frame whose kind is known and whose values only a newer version knows: the session goes on. */
import type { BrokerError } from '../domain/errors.ts';
import { FailureReason } from '../gen/beckon/v1/record.ts';
import type * as wire from '../gen/beckon/v1/mesh.ts';
import { encodeErrorInfo } from '../rpc/error-info.ts';

type Frame = NonNullable<wire.ControlFrame['frame']>;

/** The answer that lets its sender end what it began; undefined where none is expected. */
export function refusalOf(frame: Frame, error: BrokerError, hlc: string): Frame | undefined {
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
