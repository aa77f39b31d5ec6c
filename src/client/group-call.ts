/** One request to several agents: a call for each, accepted together. */
import type { GroupId } from '../domain/ids.ts';
import type { Call, CallResult } from './call.ts';

export class GroupCall {
  readonly groupId: GroupId;
  /** Its key was used before: these are the calls of then. */
  readonly deduplicated: boolean;
  /** By the address of its agent, in the order of these. Each may be iterated over, answered, cancelled as any other. */
  readonly calls: ReadonlyMap<string, Call>;

  constructor(groupId: GroupId, deduplicated: boolean, calls: ReadonlyMap<string, Call>) {
    this.groupId = groupId;
    this.deduplicated = deduplicated;
    this.calls = calls;
  }

  /** Resolves when all have ended, however they did; in the order of `calls`. */
  results(): Promise<readonly CallResult[]> {
    return Promise.all([...this.calls.values()].map((each) => each.result()));
  }
}
