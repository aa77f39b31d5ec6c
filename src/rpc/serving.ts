/** What a node and a process that serves say to each other: wire and domain. Decoders throw BrokerError `invalid` or `incompatible`. */
import { invalid } from '../domain/errors.ts';
import { isFlightId, isInvocationId, isSessionId } from '../domain/ids.ts';
import type { Answer, Ask } from '../domain/request.ts';
import { longestChoice, longestPrompt, mostChoices } from '../domain/request.ts';
import { mostConcurrency } from '../domain/serving-port.ts';
import type { Attach, FromServer, Piece, RunKey, ServedRun, ToServer } from '../domain/serving-port.ts';
import { AnswerKind } from '../gen/beckon/v1/serving.ts';
import type * as wire from '../gen/beckon/v1/serving.ts';
import { enumTable, outputStream, waitingReason } from './enums.ts';
import { decodeOptionalErrorInfo, encodeErrorInfo } from './error-info.ts';
import { buffer, bytes, id, list, name, optionalId, optionalText, optionalWhole, present, required, text, texts, whole } from './fields.ts';
import { decodeProgress, encodeProgress } from './progress.ts';
import { decodeTask, encodeTask } from './work.ts';

/** Far more than any process runs at once. */
const mostRuns = 10_000;
const longestEnvironment = 1000;

const answerKind = enumTable('kind of answer', ['text', 'approved', 'denied', 'timeout', 'ended'] as const, AnswerKind);

export function encodeAttach({ address, serverId, concurrency, runs }: Attach): wire.Attach {
  return { address, serverId, concurrency, runs: runs.map(encodeKey) };
}

/** Its address is as the process knows it. */
export function decodeAttach(message: wire.Attach): Attach {
  const concurrency = whole(message.concurrency, 'attach.concurrency');
  if (concurrency < 1 || concurrency > mostConcurrency) throw invalid(`a process takes 1 to ${mostConcurrency} runs at once, not ${concurrency}`);
  return {
    address: name(message.address, 'attach.address'),
    serverId: name(message.serverId, 'attach.server_id'),
    concurrency,
    runs: list(message.runs, 'attach.runs', mostRuns).map(decodeKey),
  };
}

export function encodeFromServer(message: FromServer): wire.ServerFrame {
  switch (message.type) {
    case 'piece':
      return { key: encodeKey(message.key), frame: { $case: 'piece', value: { number: message.number, piece: encodePiece(message.piece) } } };
    case 'ask': {
      const { reason, prompt, choices, timeoutMs } = message.ask;
      const value = { number: message.number, reason: waitingReason.toWire(reason), prompt, choices: [...choices], timeoutMs };
      return { key: encodeKey(message.key), frame: { $case: 'ask', value } };
    }
    case 'end':
      return { key: encodeKey(message.key), frame: { $case: 'end', value: { error: message.error === undefined ? undefined : encodeErrorInfo(message.error) } } };
    case 'session':
      return { key: encodeKey(message.key), frame: { $case: 'session', value: { name: message.name } } };
    case 'drain':
      return { key: undefined, frame: { $case: 'drain', value: {} } };
  }
}

export function decodeFromServer({ key, frame }: wire.ServerFrame): FromServer {
  switch (frame?.$case) {
    case 'piece':
      return { type: 'piece', key: keyOf(key), number: whole(frame.value.number, 'piece.number'), piece: decodePiece(frame.value.piece) };
    case 'ask':
      return { type: 'ask', key: keyOf(key), number: whole(frame.value.number, 'ask.number'), ask: decodeAsk(frame.value) };
    case 'end':
      return { type: 'end', key: keyOf(key), ...present({ error: decodeOptionalErrorInfo(frame.value.error) }) };
    case 'session':
      return { type: 'session', key: keyOf(key), name: name(frame.value.name, 'session.name') };
    case 'drain':
      return { type: 'drain' };
    case undefined:
      throw invalid('the frame is of a kind that this version of Beckon does not know');
  }
}

function decodeAsk(message: wire.ServedAsk): Ask {
  return {
    reason: waitingReason.fromWire(message.reason),
    prompt: text(message.prompt, 'ask.prompt', 4 * longestPrompt),
    choices: list(message.choices, 'ask.choices', 4 * mostChoices).map((choice) => text(choice, 'ask.choice', 4 * longestChoice)),
    ...present({ timeoutMs: optionalWhole(message.timeoutMs, 'ask.timeout_ms') }),
  };
}

function encodePiece(piece: Piece): wire.ServedPiece['piece'] {
  if ('progress' in piece) return encodeProgress(piece.progress);
  return { $case: 'output', value: { stream: outputStream.toWire(piece.stream), content: buffer(piece.bytes) } };
}

function decodePiece(piece: wire.ServedPiece['piece']): Piece {
  if (piece === undefined) throw invalid('the piece is of a kind that this version of Beckon does not know');
  if (piece.$case !== 'output') return { progress: decodeProgress(piece) };
  return { stream: outputStream.fromWire(piece.value.stream), bytes: bytes(piece.value.content) };
}

export function encodeToServer(message: ToServer): wire.NodeFrame {
  const keyed = (key: RunKey, frame: wire.NodeFrame['frame']): wire.NodeFrame => ({ key: encodeKey(key), frame });
  switch (message.type) {
    case 'attached': {
      const runs = message.runs.map((each) => ({ key: encodeKey(each), received: each.received }));
      return { key: undefined, frame: { $case: 'attached', value: { address: message.address, runs } } };
    }
    case 'listed':
      return { key: undefined, frame: { $case: 'listed', value: {} } };
    case 'start': {
      const { invocationId, task, session, environment } = message.run;
      const names = { sessionId: session?.id ?? '', sessionName: session?.agentSession ?? '' };
      return keyed(message.run, { $case: 'start', value: { invocationId, task: encodeTask(task), ...names, environment: { ...environment } } });
    }
    case 'stop':
      return keyed(message.key, { $case: 'stop', value: {} });
    case 'answer':
      return keyed(message.key, { $case: 'answer', value: { number: message.ask, ...encodeAnswer(message.answer) } });
    case 'stored':
      return keyed(message.key, { $case: 'stored', value: { pieces: message.pieces } });
    case 'closed':
      return keyed(message.key, { $case: 'closed', value: {} });
    case 'removed':
      return { key: undefined, frame: { $case: 'removed', value: {} } };
  }
}

/** Undefined for what only a newer version says: nothing of this version waits for it. */
export function decodeToServer({ key, frame }: wire.NodeFrame): ToServer | undefined {
  switch (frame?.$case) {
    case 'attached': {
      const runs = frame.value.runs.map((each) => ({ ...keyOf(each.key), received: whole(each.received, 'run.received') }));
      return { type: 'attached', address: name(frame.value.address, 'attached.address'), runs };
    }
    case 'start':
      return { type: 'start', run: { ...keyOf(key), ...decodeStart(frame.value) } };
    case 'answer':
      return { type: 'answer', key: keyOf(key), ask: frame.value.number, answer: decodeAnswer(frame.value) };
    case 'stored':
      return { type: 'stored', key: keyOf(key), pieces: whole(frame.value.pieces, 'stored.pieces') };
    case 'stop':
    case 'closed':
      return { type: frame.$case, key: keyOf(key) };
    case 'listed':
    case 'removed':
      return { type: frame.$case };
    case undefined:
      return undefined;
  }
}

function decodeStart(message: wire.RunStart): Omit<ServedRun, keyof RunKey> {
  const sessionId = optionalId(isSessionId, message.sessionId, 'start.session_id');
  return {
    invocationId: id(isInvocationId, message.invocationId, 'start.invocation_id'),
    task: decodeTask(required(message.task, 'start.task')),
    environment: texts(message.environment, 'start.environment', longestEnvironment),
    ...present({ session: sessionId === undefined ? undefined : { id: sessionId, ...present({ agentSession: optionalText(message.sessionName, 'start.session_name') }) } }),
  };
}

function encodeAnswer(answer: Answer): Pick<wire.AskAnswer, 'kind' | 'text' | 'by'> {
  return { kind: answerKind.toWire(answer.kind), text: answer.kind === 'text' ? answer.text : '', by: 'by' in answer ? answer.by : '' };
}

function decodeAnswer(message: wire.AskAnswer): Answer {
  const kind = answerKind.fromWire(message.kind);
  switch (kind) {
    case 'text':
      return { kind, text: message.text, by: message.by };
    case 'approved':
    case 'denied':
      return { kind, by: message.by };
    case 'timeout':
    case 'ended':
      return { kind };
  }
}

function encodeKey({ flightId, run }: RunKey): wire.RunKey {
  return { flightId, run };
}

function keyOf(key: wire.RunKey | undefined): RunKey {
  return decodeKey(required(key, 'key'));
}

function decodeKey({ flightId, run }: wire.RunKey): RunKey {
  return { flightId: id(isFlightId, flightId, 'key.flight_id'), run: whole(run, 'key.run') };
}
