/** Words from elsewhere on the terminal of a person, in its logs and in its lists: none drives it, and none reads as another than it is. */
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect } from 'vitest';
import type { AgentSpec } from '../../src/client/types.ts';
import { specOf } from '../support/asking.ts';
import { attack, harmless } from '../support/attack.ts';
import { AttackedMachine, theCall, toldByAll } from '../support/attacked-machine.ts';
import { FalseMember } from '../support/false-member.ts';
import { noTerminal } from '../support/terminal.ts';
import { waitFor } from '../support/wait-for.ts';

/** Clipboard, link, title, colour, cursor, the same by one character of C1, a line that is written over, text that runs backwards. */
const hostile = '\u001b]52;c;ZXZpbA==\u0007\u001b]8;;http://evil\u001b\\x\u001b]8;;\u001b\\\u001b]0;owned\u0007\u001b[2J\u001b[8m\u009b31m\u009d0;c1\u009c\u0090q\rOVERWRITTEN\u202egnp.exe\u2066\u0085\u007f\u001bc';
/** What of it would act; the command line's own colours, cursor and screens are none of these. */
// eslint-disable-next-line no-control-regex
const acting = /\u001b[\]P_^Xc]|\u001b\[2J|\u001b\[8m|[\u0007\u0080-\u009f\u007f\u202a-\u202e\u2066-\u2069\u200e\u200f]|\rOVERWRITTEN|\u001b\\/;

let machine: AttackedMachine;
beforeAll(async () => {
  machine = await AttackedMachine.start();
}, 60_000);
afterAll(() => machine?.[Symbol.asyncDispose]());

const victim = () => machine.attacked();

/** What each command shows on a terminal of its own. */
async function shown(commands: readonly (readonly string[])[]): Promise<readonly string[]> {
  const texts: string[] = [];
  for (let from = 0; from < commands.length; from += 4) {
    const some = commands.slice(from, from + 4).map((args) => machine.victim.beckon(args, { terminal: true, timeoutMs: 30_000 }));
    texts.push(...(await Promise.all(some)).map(({ text }) => text));
  }
  return texts;
}

function expectHarmless(commands: readonly (readonly string[])[], texts: readonly string[]): void {
  const wrong = commands.flatMap((args, index) => {
    const found = acting.exec(texts[index] ?? '');
    return found === null ? [] : [`${args.join(' ')}: ${JSON.stringify((texts[index] ?? '').slice(Math.max(0, found.index - 60), found.index + 20))}`];
  });
  expect(wrong).toEqual([]);
}

attack('an agent whose output and errors drive the terminal of who reads them', {
  victim,
  skip: noTerminal,
  arrange: async () => {
    const address = await machine.add('painter', ['/bin/sh', '-c', 'printf "%s" "$HOSTILE"; printf "%s" "$HOSTILE" >&2; exit 3'], { env: [`HOSTILE=${hostile}`] });
    return { address, flightId: (await machine.ask(address, hostile)).flightId };
  },
  act: async ({ address, flightId }) => {
    const commands = [['invoke', 'painter', hostile], ['invoke', 'painter', hostile, '--json'], ['flight', 'show', flightId], ['flight', 'show', flightId, '--json'], ['flight', 'output', flightId], ['flight', 'follow', flightId], ['trace', flightId], ['invoke', 'painter', hostile, '--all', '--yes']];
    const texts = await shown(commands);
    expectHarmless(commands, texts);
    // It was there.
    expect(texts.map((text) => /evil|OVERWRITTEN|ZXZpbA/.test(text))).toEqual([true, true, false, true, true, true, false, true]);
    expect(address).toBe('@painter@victim#main');
    return harmless;
  },
  refused: { code: 'harmless' },
  logged: { none: 'an agent may print what it likes' },
  stores: theCall('the calls themselves', 60),
  shows: 'shown as pictures of control characters on a terminal, escaped in JSON, and by `--raw` alone as they are',
});

attack('a request for approval whose words hide what is asked', {
  victim,
  skip: noTerminal,
  arrange: async () => {
    const lying = fileURLToPath(new URL('../support/lying-acp-agent.ts', import.meta.url));
    const address = await machine.add('asker', [process.execPath, '--disable-warning=ExperimentalWarning', lying], { harness: 'acp', env: [`HOSTILE=${hostile}`] });
    const flightId = await machine.begin(address, 'title');
    await waitFor('it to ask', async () => (await machine.person.getFlight(flightId)).flight.state === 'waiting', { timeoutMs: 20_000 });
    return flightId;
  },
  act: async (flightId) => {
    const commands = [['inbox'], ['inbox', '--json'], ['flight', 'show', flightId], ['flights'], ['report'], ['flights', '--json'], ['tail', '--since', '1h', '--json', '--no-follow'], ['logs']];
    expectHarmless(commands, await shown(commands));
    const top = machine.victim.start(['top'], { terminal: true, typing: true });
    await top.says(/asker/);
    top.write('q');
    expectHarmless([['top']], [(await top.ended).text]);
    await machine.person.cancelFlight(flightId, 10_000);
    return harmless;
  },
  refused: { code: 'harmless' },
  logged: { none: 'an agent may ask what it likes' },
  stores: theCall('the end of the call', 40),
  shows: 'lists, the inbox, the report and `top` show a request and its choices as text',
});

attack('a member whose agents, labels and reasons drive the terminal', {
  victim,
  skip: noTerminal,
  arrange: async () => {
    const mallory = await FalseMember.enter((await machine.person.createInvite({})).token, 'mallory');
    return { mallory, session: await mallory.session(machine.victim) };
  },
  act: async ({ mallory, session }) => {
    const before = (await machine.person.listAgents({}, { limit: 100 })).items.length;
    const tell = (changed: object, version: number): Promise<unknown> => {
      const record = mallory.seal.sealRegistration({ address: `@lamp${version}@mallory#main`, nodeId: mallory.nodeId, harness: 'command', capabilities: [], labels: {}, visibility: 'mesh', description: '', isDefault: true, available: false, unavailableWhy: 'none', ...changed } as never);
      const head = mallory.seal.sealHead({ nodeId: mallory.nodeId, epoch: Date.now() + version, version, count: 1, rootHash: mallory.seal.hash(mallory.seal.hash(record.payload)), addresses: [], gossipAddresses: [] });
      const wire = ({ payload, signature }: { payload: Uint8Array; signature: Uint8Array }) => ({ payload: Buffer.from(payload), signature: Buffer.from(signature) });
      return session.sayToNobody({ $case: 'registryChange', value: { head: wire(head), records: [wire(record)], gone: Buffer.alloc(0) } });
    };
    for (const [index, changed] of [{ unavailableWhy: hostile }, { description: hostile }, { labels: { a: hostile } }, { labels: { [hostile]: 'a' } }, { capabilities: [hostile] }, { harness: hostile }, { address: `@la\u001b]0;x\u0007mp@mallory#main` }].entries()) await tell(changed, index + 1);
    const commands = [['agents'], ['agents', '--json'], ['resolve', 'lamp1@mallory', '--explain'], ['invoke', 'lamp1@mallory/main', 'x'], ['peers'], ['mesh', 'members'], ['agent', 'show', 'lamp1@mallory/main'], ['completion', 'bash']];
    expectHarmless(commands, await shown(commands));
    const { items } = await machine.person.listAgents({}, { limit: 100 });
    expect(items.length - before).toBeLessThanOrEqual(1);
    return harmless;
  },
  refused: { code: 'harmless' },
  logged: { line: /what a node told of the registry was not taken/ },
  stores: [...['registrations', 'registry_heads', 'nodes', 'events'].map((table) => ({ table, most: 12, why: 'what of it is well made is the list of a member' }))],
  holds: ({ session }) => {
    session[Symbol.dispose]();
    expect(machine.victim.log.split('\n').filter((line) => acting.test(line))).toEqual([]);
  },
  shows: 'a record with words that no honest node writes is refused, and what is free text is shown as text',
});

attack('names that are none: of agents, nodes, meshes, people, labels, capabilities, variables', {
  victim,
  act: () => {
    const { person } = machine;
    const adding = (changed: Partial<AgentSpec>) => () => person.addAgent(specOf({ name: 'ok', workspace: 'w', ...changed }));
    const names = ['../../etc', '-rf', '--help', 'a\0b', 'a\nb', hostile, '\u202eabc', 'a b', '$(id)', 'k51abc', 'x'.repeat(41), ''];
    return toldByAll([
      ...names.map((name) => adding({ name: name === '' ? ' ' : name })),
      ...names.slice(0, 11).map((name) => () => person.renameNode(name)),
      adding({ labels: { [hostile]: 'x' } }),
      adding({ labels: { a: hostile } }),
      adding({ capabilities: ['gpu\u202e'] }),
      adding({ description: hostile }),
      adding({ env: ['=x'] }),
      adding({ env: ['A=\0'] }),
      adding({ argv: ['cat', 'a\0b'] }),
      () => person.createInvite({ forPerson: hostile }),
      () => person.admit({ rules: [{ kind: 'user', value: hostile }] }),
      () => person.admit({ rules: [{ kind: 'tag', value: 'tag:$(id)' }] }),
      () => machine.ask(`echo\u202e`, 'x'),
    ]);
  },
  refused: { code: ['invalid', 'not_found'] },
  logged: { none: 'who asks is told' },
  shows: 'each is refused before anything is stored, with what is wrong with it in words that drive nothing',
});
