/**
 * Which instances the worktrees of an approved project make, against those that are there. Pure. The address of a
 * worktree is its branch; detached, or where another worktree has that branch's name, its directory.
 */
import { encodeWorkspace, formatAddress, parseAddress } from './address.ts';
import { BrokerError } from './errors.ts';
import type { FoundWorktree } from './project-port.ts';
import { quoted } from './text.ts';

export interface KeptInstance {
  readonly address: string;
  readonly top: string;
  /** Something runs there or waits for it: it does not move. */
  readonly isBusy: boolean;
  /** Why its worktree will not come back; undefined when it is there, or may. */
  readonly goneWhy?: string;
}

export interface ReconcileInput {
  readonly name: string;
  /** Name of the node. */
  readonly node: string;
  readonly defaultWorkspace?: string;
  /** That are there. */
  readonly worktrees: readonly FoundWorktree[];
  readonly leftOut: readonly string[];
  readonly instances: readonly KeptInstance[];
  /** Who has an address that is not this project's, in words. */
  readonly takenBy: (address: string) => string | undefined;
}

export interface PlacedInstance {
  readonly address: string;
  readonly top: string;
  readonly isDefault: boolean;
}

export interface Reconciled {
  /** There already, at that address. */
  readonly keep: readonly PlacedInstance[];
  readonly remove: readonly { readonly address: string; readonly why: string }[];
  /** After what is removed. */
  readonly add: readonly PlacedInstance[];
  /** Kept where they are for as long as they are busy. */
  readonly later: readonly { readonly address: string; readonly to: string }[];
  readonly refused: readonly { readonly top: string; readonly address?: string; readonly why: string }[];
  /** Worktrees that a person took out, and the address that each would like. */
  readonly leftOut: readonly { readonly top: string; readonly address?: string }[];
}

/** Done once, and again on what it made of it, it changes nothing more. */
export function reconcile(input: ReconcileInput): Reconciled {
  const { worktrees, leftOut, instances, takenBy } = input;
  const wanted = worktrees.filter(({ top }) => !leftOut.includes(top)).toSorted(mainFirst);
  const byTop = new Map(instances.map((each) => [each.top, each]));
  const tops = new Set(wanted.map(({ top }) => top));
  const left = instances.filter(({ top }) => !tops.has(top));
  const isLeftOut = (top: string): boolean => leftOut.includes(top);
  const remove = left.flatMap(({ address, top, goneWhy }) => (goneWhy !== undefined ? [{ address, why: goneWhy }] : isLeftOut(top) ? [{ address, why: 'it was removed by hand' }] : []));
  /** Who has, or keeps, an address: the top of a worktree. */
  const holders = new Map(left.filter(({ top, goneWhy }) => goneWhy === undefined && !isLeftOut(top)).map(({ address, top }) => [address, top]));
  for (const { address, top, isBusy } of instances) if (tops.has(top) && isBusy) holders.set(address, top);

  const placed = new Map<string, string>();
  const refused: { top: string; address?: string; why: string }[] = [];
  const isFree = (address: string, top: string): boolean => (holders.get(address) ?? top) === top && takenBy(address) === undefined;
  const choices = new Map(wanted.map((worktree) => [worktree.top, addressesFor(worktree, input)]));
  const claim = (top: string, address: string): void => {
    placed.set(top, address);
    holders.set(address, top);
  };
  // Who is where it belongs stays there, whatever else has come.
  for (const { top } of wanted) {
    const [first] = choices.get(top) ?? [];
    if (first !== undefined && byTop.get(top)?.address === first && isFree(first, top)) claim(top, first);
  }
  for (const { top } of wanted) {
    if (placed.has(top)) continue;
    const all = choices.get(top) ?? [];
    const [first] = all;
    const owner = first === undefined ? undefined : takenBy(first);
    const address = owner === undefined ? all.find((each) => isFree(each, top)) : undefined;
    if (address !== undefined) claim(top, address);
    else refused.push({ top, ...addressOf(all), why: whyRefused(top, first, owner) });
  }

  const keep: { address: string; top: string }[] = [];
  const add: { address: string; top: string }[] = [];
  const later: { address: string; to: string }[] = [];
  for (const { top } of wanted) {
    const [address, known] = [placed.get(top), byTop.get(top)];
    if (known === undefined) {
      if (address !== undefined) add.push({ address, top });
    } else if (address === known.address) {
      keep.push({ address, top });
    } else if (known.isBusy) {
      keep.push({ address: known.address, top });
      if (address !== undefined) later.push({ address: known.address, to: address });
    } else {
      remove.push({ address: known.address, why: address === undefined ? `its worktree ${quoted(top, 200)} has another name now` : `its worktree is ${address} now` });
      if (address !== undefined) add.push({ address, top });
    }
  }
  const isDefault = defaultAmong([...keep, ...add], input);
  const withDefault = (each: { address: string; top: string }): PlacedInstance => ({ ...each, isDefault: isDefault(each) });
  const out = worktrees.filter(({ top }) => isLeftOut(top)).map((worktree) => ({ top: worktree.top, ...addressOf(addressesFor(worktree, input)) }));
  return { keep: keep.map(withDefault), remove, add: add.map(withDefault), later, refused, leftOut: out };
}

function mainFirst(a: FoundWorktree, b: FoundWorktree): number {
  if (a.isMain !== b.isMain) return a.isMain ? -1 : 1;
  return a.top < b.top ? -1 : 1;
}

/** In the order of preference. */
function addressesFor({ branch, top }: FoundWorktree, { name, node }: Pick<ReconcileInput, 'name' | 'node'>): readonly string[] {
  const names = [branch, top.slice(top.lastIndexOf('/') + 1)];
  const addresses = names.flatMap((each) => {
    const workspace = each === undefined || each === '' ? undefined : workspaceOf(each);
    return workspace === undefined ? [] : [formatAddress({ agent: name, node, workspace })];
  });
  return [...new Set(addresses)];
}

function addressOf([address]: readonly string[]): { readonly address?: string } {
  return address === undefined ? {} : { address };
}

/** Undefined for what is too long for an address. */
function workspaceOf(raw: string): string | undefined {
  try {
    return encodeWorkspace(raw);
  } catch (thrown) {
    if (thrown instanceof BrokerError) return undefined;
    throw thrown;
  }
}

function whyRefused(top: string, first: string | undefined, owner: string | undefined): string {
  if (first === undefined) return `no workspace can be made from ${quoted(top, 200)}`;
  return owner === undefined ? `${first} and the name of its directory are taken by other worktrees of the project` : `${first} is taken: ${owner}`;
}

/** What the project says; else `main`, `master`, or what the main checkout is on. */
function defaultAmong(placed: readonly { address: string; top: string }[], { defaultWorkspace, worktrees }: ReconcileInput): (of: { address: string; top: string }) => boolean {
  const on = (workspace: string | undefined) => placed.find(({ address }) => workspace !== undefined && parseAddress(address).workspace === workspace);
  const main = worktrees.find(({ isMain }) => isMain);
  const chosen = defaultWorkspace === undefined ? (on('main') ?? on('master') ?? placed.find(({ top }) => top === main?.top)) : on(workspaceOf(defaultWorkspace));
  return (of) => of.address === chosen?.address;
}
