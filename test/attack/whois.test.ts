/** The word of the tailnet, where it is asked about a connection that did not come through it, or comes from one that is not the machine's own. */
import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect } from 'vitest';
import { attack } from '../support/attack.ts';
import type { Told } from '../support/attack.ts';
import { AttackedMachine } from '../support/attacked-machine.ts';
import { FakeTailscaled } from '../support/fake-tailscaled.ts';
import type { FakeMachine } from '../support/fake-tailscaled.ts';
import { connectTwoHosts, noNamespaces } from '../support/netns.ts';
import type { Cable } from '../support/netns.ts';
import { missing } from '../support/programs.ts';

const skip = noNamespaces ?? missing('unshare', 'setpriv');
const checkout = fileURLToPath(new URL('../..', import.meta.url));
const applicant = fileURLToPath(new URL('../support/applicant.ts', import.meta.url));
const ann = 'ann@example.com';
const self: FakeMachine = { id: 'self', name: 'laptop', user: ann, addresses: ['100.64.0.1'] };
/** Of whom a tailnet says more than that they are Ann's machines. */
const peers: readonly FakeMachine[] = [
  { id: 'desktop', name: 'desktop', user: ann, addresses: ['100.64.0.5'] },
  { id: 'router', name: 'router', user: ann, addresses: ['127.0.0.11'], routes: ['10.0.0.0/8'] },
  { id: 'expired', name: 'expired', user: ann, addresses: ['127.0.0.12'], expired: true },
  { id: 'shared', name: 'shared', user: ann, addresses: ['127.0.0.13'], raw: { ShareeNode: true } },
  { id: 'bob', name: 'bob', user: 'bob@example.com', addresses: ['127.0.0.15'] },
  { id: 'tagged', name: 'tagged', tags: ['tag:server'], addresses: ['127.0.0.16'] },
  { id: 'nobody', name: 'nobody', addresses: ['127.0.0.17'] },
];

let cable: Cable;
let kernel: FakeTailscaled;
let userspace: FakeTailscaled;
/** On a plain address beside its tailnet. */
let plain: AttackedMachine;
/** Behind a tailscaled without a network interface: on loopback. */
let behind: AttackedMachine;
beforeAll(async () => {
  if (skip !== undefined) return;
  cable = connectTwoHosts();
  const { left, right } = cable;
  for (const [host, ...args] of [[right, 'address', 'add', '100.64.0.5/32', 'dev', 'eth0'], [left, 'route', 'add', '100.64.0.5/32', 'dev', 'eth0']] as const) spawnSync('ip', ['-n', host.namespace, ...args]);
  plain = await startAt(left.address);
  behind = await startBehind();
}, 90_000);
afterAll(async () => {
  for (const each of [plain, behind]) await each?.[Symbol.asyncDispose]();
  for (const each of [kernel, userspace]) await each?.stop();
  cable?.[Symbol.dispose]();
});

async function startAt(address: string): Promise<AttackedMachine> {
  return AttackedMachine.start({
    place: { through: cable.left.through },
    before: async (node) => {
      kernel = await FakeTailscaled.start({ path: `${node.home}/tailscaled.sock` }, { self, peers: [...peers] });
      Object.assign(node.place, { tailscale: `${node.home}/tailscaled.sock` });
    },
    up: { flags: ['--listen', `${address}:7500`] },
  });
}

async function startBehind(): Promise<AttackedMachine> {
  return AttackedMachine.start({
    place: { through: cable.right.through },
    before: async (node) => {
      userspace = await FakeTailscaled.start({ path: `${node.home}/tailscaled.sock` }, { self: { ...self, addresses: ['100.64.0.1', '127.0.0.14'] }, peers: [...peers], isUserspace: true });
      Object.assign(node.place, { tailscale: `${node.home}/tailscaled.sock` });
    },
  });
}

/** From another process, on that host. */
async function applying(through: readonly string[], where: string, ...addresses: readonly string[]): Promise<Told[]> {
  const [program = '', ...args] = [...through, process.execPath, '--disable-warning=ExperimentalWarning', applicant, where, ...addresses];
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const chunks: Buffer[] = [];
  for await (const chunk of child.stdout as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks).toString().trim().split('\n').map((line) => JSON.parse(line) as Told);
}

attack('a machine of the same network that gives itself an address of the tailnet', {
  victim: () => plain.attacked(),
  skip,
  act: () => applying(cable.right.through, `${cable.left.address}:7500`, '100.64.0.5', cable.right.address),
  refused: { code: 'denied', words: /did not come through the tailnet/ },
  logged: { line: /"msg":"a connection was refused"/, most: 4 },
  audit: ['enrolment.refused'],
  holds: async () => expect([await plain.person.pending(), kernel.requests.filter((each) => each.includes('whois'))]).toEqual([[], []]),
  shows: 'what came in on another address of the machine is not asked about: an address of 100.64/10 proves nothing there',
});

attack('another program of the machine at the port that tailscaled alone brings connections to', {
  victim: () => behind.attacked(),
  skip,
  act: () => applying(cable.right.through, '127.0.0.1:7423', '127.0.0.1', '127.0.0.99'),
  refused: { code: 'cut' },
  logged: { line: /it did not come through the tailnet/, each: true },
  audit: ['session.refused'],
  shows: 'behind a tailscaled without an interface each connection is asked about before its first byte is read',
});

attack('machines that the tailnet knows and does not vouch for: itself, a router, an expired one, a shared one, somebody else’s, a tagged one', {
  victim: () => behind.attacked(),
  skip,
  act: () => applying(cable.right.through, '127.0.0.1:7423', ...[11, 12, 13, 14, 15, 16, 17].map((last) => `127.0.0.${last}`)),
  refused: { code: 'denied', words: /subnet router|has expired|of another tailnet|is this same machine|no rule admits|knows no user/ },
  logged: { line: /"msg":"a connection was refused"/, most: 14 },
  audit: ['enrolment.refused'],
  stores: [{ table: 'applicants', most: 3, why: 'who may be let in by a person is shown to them' }, { table: 'events', most: 3, why: 'the same' }],
  shows: 'none is let in: what others may share, or what has no user of its own here, waits for a person or is refused',
});

attack('a false tailscaled that another user of the machine put in a usual place', {
  victim: () => plain.attacked(),
  // Another /tmp hides what is below this one, the program too.
  skip: skip ?? (checkout.startsWith('/tmp/') ? 'this checkout is below /tmp, which is another there' : undefined),
  arrange: async () => {
    // A /tmp of its own, so that no other node of this machine sees it.
    const own = plain.cluster.path('tmp');
    mkdirSync(`${own}/tailscale`, { recursive: true });
    chmodSync(own, 0o1777);
    chownSync(`${own}/tailscale`, 65_534, 65_534);
    const fake = await FakeTailscaled.start({ path: `${own}/tailscale/tailscaled.sock` }, { self: { ...self, addresses: ['127.0.0.1'] }, peers: [{ id: 'evil', name: 'evil', user: ann, addresses: ['127.0.0.21'] }], isUserspace: true });
    chownSync(`${own}/tailscale/tailscaled.sock`, 65_534, 65_534);
    // Not below /tmp, which is another there.
    return { own, fake, home: mkdtempSync('/var/tmp/beckon-attack-') };
  },
  act: async ({ own, fake, home }) => {
    const through = ['ip', 'netns', 'exec', cable.left.namespace, 'unshare', '-m', 'sh', '-c', 'mount --bind "$0" /tmp && exec "$@"', own];
    const run = plain.victim.start(['up', '--name', 'believing', '--listen', '127.0.0.1:7423', '--gossip-listen', 'off', '--json'], { env: { BECKON_HOME: home }, through, cwd: '/' });
    try {
      await run.event('ready');
      const made = spawnSync('ip', ['netns', 'exec', cable.left.namespace, process.execPath, '--disable-warning=ExperimentalWarning', fileURLToPath(new URL('../../src/main.ts', import.meta.url)), 'mesh', 'create', 'alone', '--new', '--json'], { env: { BECKON_HOME: home, PATH: process.env['PATH'] ?? '' } });
      expect([made.status, made.stderr.toString()]).toEqual([0, '']);
      const told = await applying(cable.left.through, '127.0.0.1:7423', '127.0.0.21');
      expect(fake.requests).toEqual([]);
      return told;
    } finally {
      run.signal('SIGTERM');
      await run.ended;
      await fake.stop();
      rmSync(home, { recursive: true, force: true });
    }
  },
  refused: { code: ['denied', 'unavailable'], words: /not asked|belongs to another user|no tailscaled|tailnet/ },
  logged: { none: 'the log is that of the other node: it says why there is no tailnet' },
  shows: 'a socket that others could have made is not asked who anybody is: nobody enters by its word',
  timeoutMs: 60_000,
});
