/** The projects of a machine, as a fake broker shows them. */
import type { ApproveInput, ApproveResult, BrokerApi, ScannedProject, ScanResult } from '../../src/broker/api.ts';
import { notFound } from '../../src/domain/errors.ts';

export class FakeProjects {
  found: readonly ScannedProject[] = [];
  notes: readonly string[] = [];
  readonly asked: Parameters<BrokerApi['scanProjects']>[0][] = [];
  readonly approved: ApproveInput[] = [];

  async scan(input: Parameters<BrokerApi['scanProjects']>[0]): Promise<ScanResult> {
    await Promise.resolve();
    this.asked.push(input);
    return { projects: this.found, notes: this.notes };
  }

  async approve(input: ApproveInput): Promise<ApproveResult> {
    await Promise.resolve();
    this.approved.push(input);
    const roots = input.approvals.map((each) => each.root);
    return { added: this.found.filter((each) => roots.includes(each.root)).flatMap((each) => each.instances.map(({ address }) => address)), removed: [] };
  }

  async forget(root: string): ReturnType<BrokerApi['forgetProject']> {
    await Promise.resolve();
    const found = this.found.find((each) => each.root === root);
    if (found === undefined) throw notFound(`no project ${root} is approved here`);
    return { root, removed: found.instances.map(({ address }) => address), heldFailed: 1 };
  }
}
