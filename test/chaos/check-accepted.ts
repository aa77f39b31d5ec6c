/** G1 to G3: what was acknowledged exists, once, and nowhere else than it should. */
import { grouped, originated } from './books.ts';
import type { Books } from './books.ts';
import type { Verdict } from './verdict.ts';

export function checkAccepted(books: Books, verdict: Verdict): void {
  checkDurable(books, verdict);
  checkKeys(books, verdict);
  checkReceivedOnce(books, verdict);
}

function checkDurable({ nodes, notes }: Books, verdict: Verdict): void {
  for (const note of notes) {
    const origin = nodes.get(note.origin);
    for (const { invocationId } of note.answers) {
      const flight = origin?.flights.get(invocationId);
      verdict.that('G1', 'every acknowledged invocation is in its origin’s database, as it was asked for', flight?.target === note.target && origin?.marks.get(invocationId) === note.mark, () => ({ note: note.id, origin: note.origin, invocationId, flight, mark: origin?.marks.get(invocationId) }));
      verdict.that('G1', 'its delivery and the fact of its acceptance are there too', origin?.deliveries.has(invocationId) === true && origin.factsOf.get(invocationId)?.filter((each) => each.what === 'invocation.accepted').length === 1, () => ({ note: note.id, invocationId, facts: origin?.factsOf.get(invocationId) }));
    }
  }
}

function checkKeys({ nodes, notes }: Books, verdict: Verdict): void {
  const keys = [...nodes.values()].flatMap((node) => node.keys.map((each) => ({ ...each, node: node.name })));
  const stored = grouped(keys, (each) => `${each.node} ${each.key}`);
  for (const note of notes) {
    const origin = nodes.get(note.origin);
    const marked = origin?.acceptedBy.get(note.mark) ?? [];
    if (note.key === undefined) {
      // Asked once without a key: at most one, answered or not.
      verdict.that('G2', 'a request without a key that was made once is accepted at most once', marked.length <= 1, () => ({ note: note.id, marked }));
      continue;
    }
    const ids = new Set(note.answers.map((each) => each.invocationId));
    verdict.that('G2', 'every answer to one key names one invocation', ids.size <= 1, () => ({ note: note.id, key: note.key, answers: note.answers }));
    verdict.that('G2', 'at most one answer to a key says that it is new', note.answers.filter((each) => !each.deduplicated).length <= 1, () => ({ note: note.id, key: note.key, answers: note.answers }));
    verdict.that('G2', 'the origin has at most one invocation for a key, and the one that was answered', marked.length <= 1 && [...ids].every((id) => marked.includes(id)), () => ({ note: note.id, key: note.key, marked, answers: note.answers }));
    const rows = stored.get(`${note.origin} ${note.key}`) ?? [];
    verdict.that('G2', 'the stored key stands for the invocation', rows.length === marked.length && rows.every((each) => marked.includes(each.invocation_id)), () => ({ note: note.id, key: note.key, rows, marked }));
    if (note.probe === undefined) continue;
    const { probe } = note;
    verdict.that('G2', 'the same key for another task is a conflict that stores nothing', probe.code === 'conflict' && origin?.acceptedBy.has(probe.mark) !== true, () => ({ note: note.id, key: note.key, probe }));
  }
}

function checkReceivedOnce(books: Books, verdict: Verdict): void {
  const holders = grouped([...books.nodes.values()].flatMap((node) => [...node.flights.keys()].map((id) => ({ id, node: node.name }))), (each) => each.id);
  for (const { id, origin, flight, ownerBooks, owned } of originated(books)) {
    const others = (holders.get(id) ?? []).map((each) => each.node).filter((name) => name !== origin.name && name !== ownerBooks?.name);
    verdict.that('G3', 'no node but origin and owner has the invocation', others.length === 0, () => ({ id, others }));
    if (ownerBooks === undefined || owned === undefined) continue;
    const agrees = ownerBooks.nameOf(owned.origin) === origin.name && ownerBooks.nameOf(owned.owner) === ownerBooks.name && owned.caller === flight.caller && owned.target === flight.target && ownerBooks.marks.get(id) === origin.marks.get(id);
    verdict.that('G3', 'the owner has it from its origin, as the origin has it', agrees, () => ({ id, owned, flight }));
    const received = ownerBooks.factsOf.get(id)?.filter((each) => each.what === 'invocation.received') ?? [];
    verdict.that('G3', 'the owner received it once', received.length === 1, () => ({ id, received }));
  }
  for (const node of books.nodes.values()) {
    for (const [id, flight] of node.flights) {
      const origin = node.nameOf(flight.origin);
      verdict.that('G3', 'nothing is stored that its origin does not have', books.nodes.get(origin)?.flights.has(id) === true, () => ({ id, at: node.name, flight }));
    }
  }
}
