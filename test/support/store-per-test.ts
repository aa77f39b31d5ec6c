/** A real store and its story for each test of a file, between three nodes. */
import { afterEach, beforeEach } from 'vitest';
import type { MeasuredStore } from '../../src/domain/store-measures.ts';
import { nodeIdFor, openTempStore, Story } from './temp-store.ts';
import type { TempStore } from './temp-store.ts';

/** Whose store it is. */
export const me = nodeIdFor(1);
export const desktop = nodeIdFor(2);
export const server = nodeIdFor(3);

export class StorePerTest {
  temp!: TempStore;
  story!: Story;

  /** As it is open now: `reopen` gives another one. */
  get store(): MeasuredStore {
    return this.temp.store;
  }

  reopen(): Promise<MeasuredStore> {
    return this.temp.reopen();
  }
}

/** To be called where `beforeEach` may be. */
export function storePerTest(): StorePerTest {
  const at = new StorePerTest();
  beforeEach(async () => {
    at.temp = await openTempStore(me);
    at.story = new Story();
  });
  afterEach(() => at.temp[Symbol.asyncDispose]());
  return at;
}
