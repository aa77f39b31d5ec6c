/** Ada with her laptop, Bob with his studio, in one mesh: two real node processes. What is Ada's, and not for Bob, has one word in it. */
import { existsSync, mkdirSync } from 'node:fs';
import { acpAgentFile } from './acp-endpoint.ts';
import type { Json } from './cli.ts';
import { Cluster, waitsFor } from './cluster.ts';
import { GitRepository } from './git-repository.ts';
import type { TestNode } from './node-process.ts';
import { waitFor } from './wait-for.ts';

/** In tasks, answers, questions, environments, directories and programs of Ada's. */
export const secret = 'adassecret';

export interface TwoPeople {
  readonly cluster: Cluster;
  readonly laptop: TestNode;
  readonly studio: TestNode;
  /** Flights at the laptop that Bob has no part in, by what has become of them. */
  readonly ada: { readonly done: string; readonly failed: string; readonly running: string; readonly waiting: string; readonly request: string; readonly tree: string };
  /** Flights of the agent that she shares with him. */
  readonly bob: { readonly done: string; readonly running: string };
}

export async function twoPeople(): Promise<TwoPeople> {
  const cluster = await Cluster.create();
  try {
    return await settled(cluster);
  } catch (error) {
    await cluster[Symbol.asyncDispose]();
    throw error;
  }
}

async function settled(cluster: Cluster): Promise<TwoPeople> {
  const [laptop, studio] = [await cluster.node('laptop'), await cluster.node('studio')];
  await cluster.join([laptop, studio], { studio: 'bob' });
  const place = cluster.path(`${secret}-plans`);
  mkdirSync(place);
  const repository = GitRepository.make(cluster.path(`${secret}-shop`), { 'prices.txt': `${secret}-price\n` });
  const hold = waitsFor(cluster.path('gate'));
  const ledger = cluster.program(`${secret}-ledger`, `IFS= read -r task\necho "${secret}-answer to $task"\necho ${secret}-stderr >&2\ncase "$task" in *hold*) ${hold} ;; *fail*) exit 3 ;; esac`);
  const open = cluster.program(`${secret}-open`, `IFS= read -r task\necho "open did $task"\ncase "$task" in *hold*) ${hold} ;; esac`);
  const there = ['--cwd', place, '--env', `ADA_KEY=${secret}-key`];
  await laptop.addAgent('ledger', [ledger], [...there, '--label', 'team=money']);
  await laptop.addAgent('hidden', [ledger], [...there, '--visibility', 'node']);
  await laptop.addAgent('broken', [cluster.path(`${secret}-nowhere`)], there);
  await laptop.addAgent('asks', [process.execPath, acpAgentFile, '--always', `say ${secret}-thought;run ${secret}-command`], ['--harness', 'acp', ...there]);
  await laptop.addAgent('tree', ['sh', '-c', `echo ${secret}-change >> prices.txt`], ['--isolate', '--cwd', repository.path]);
  await laptop.addAgent('open', [open], there);
  await laptop.json(['agent', 'share', 'open', '--with', 'bob']);
  await studio.addAgent('mine', ['/bin/cat']);
  await waitFor('Bob to see her agents', async () => ((await studio.json(['agents', '--node', 'laptop']))['agents'] as Json[]).length === 5, { timeoutMs: 20_000 });
  const [done, failed, running, waiting, tree] = await Promise.all(
    [['ledger', 'books'], ['ledger', 'fail'], ['ledger', 'hold'], ['asks', 'ask'], ['tree', 'change']].map(([agent = '', task = '']) => accepted(laptop, agent, `${secret}-task ${task}`)),
  ) as [string, string, string, string, string];
  const bob = { done: await accepted(studio, 'open@laptop/main', 'bobs task'), running: await accepted(studio, 'open@laptop/main', 'bobs hold') };
  const become = (node: TestNode, id: string, state: string): Promise<unknown> => waitFor(`${id} to be ${state}`, async () => (await flightAt(node, id))['state'] === state, { timeoutMs: 20_000 });
  const ofAda = [[done, 'completed'], [failed, 'failed'], [running, 'running'], [waiting, 'waiting'], [tree, 'completed']] as const;
  await Promise.all([...ofAda.map(([id, state]) => become(laptop, id, state)), become(studio, bob.done, 'completed'), become(studio, bob.running, 'running')]);
  const request = String(((await laptop.json(['inbox']))['waiting'] as Json[])[0]?.['request']);
  return { cluster, laptop, studio, ada: { done, failed, running, waiting, request, tree }, bob };
}

async function accepted(node: TestNode, agent: string, task: string): Promise<string> {
  return String((await node.json(['invoke', agent, task, '--detach']))['invocationId']);
}

export async function flightAt(node: TestNode, id: string): Promise<Json> {
  return (await node.json(['flight', 'show', id]))['flight'] as Json;
}

/** What Ada has, as she sees it: nothing of it is Bob's to change. */
export async function adasOwn({ laptop, ada, cluster }: TwoPeople): Promise<unknown> {
  const [agents, shown, status, members, config] = await Promise.all([
    laptop.json(['agents', '--node', 'laptop']),
    Promise.all(['open', 'ledger', 'hidden'].map((each) => laptop.json(['agent', 'show', each]))),
    laptop.json(['status']),
    laptop.json(['mesh', 'members']),
    laptop.json(['config', 'show']),
  ]);
  const { done, failed, running, waiting, tree } = ada;
  const flights = await Promise.all([done, failed, running, waiting, tree].map(async (id) => {
    const { id: flight, state, isolation, waiting: open } = await flightAt(laptop, id);
    return { flight, state, isolation, request: (open as Json | undefined)?.['request'] };
  }));
  const known = (agents['agents'] as Json[]).map(({ address, available }) => ({ address, available }));
  return { known, shares: shown.map((each) => each['agent']?.['shares']), node: status['node'], mesh: status['mesh'], members, config, flights, plans: existsSync(cluster.path(`${secret}-plans`)), pid: laptop.pid };
}
