/**
 * All that Bob can type at his node about what is Ada's: each command of the program at least once, with what comes of it. README has the
 * same as a table, by command and outcome; the program, the table and this list are compared, so that none of them can be changed alone.
 */
import { secret } from './two-people.ts';
import type { TwoPeople } from './two-people.ts';

export const outcomes = ['shown', 'his own', 'denied', 'not found', 'left out', 'not his to do'] as const;
export type Outcome = (typeof outcomes)[number];

export interface Attempt {
  /** As in the help: `flight show`. */
  readonly command: string;
  readonly outcome: Outcome;
  /** Of the command; without `--json` where it has none to give. */
  readonly args: (people: TwoPeople) => readonly string[];
  readonly stdin?: string;
  /** 0 unless it is said. */
  readonly exit?: number;
  /** In what it prints. */
  readonly says?: RegExp;
  readonly neverSays?: RegExp;
  readonly isPlain?: boolean;
  /** It goes on until it is let go of: it is when it has said that. */
  readonly until?: RegExp;
}

type Rest = Omit<Attempt, 'command' | 'outcome' | 'args'>;
type Args = readonly string[] | ((people: TwoPeople) => readonly string[]);

function attempt(outcome: Outcome, command: string, args: Args, rest: Rest = {}): Attempt {
  return { command, outcome, args: typeof args === 'function' ? args : () => args, ...rest };
}

const shown = (command: string, args: Args, rest?: Rest): Attempt => attempt('shown', command, args, rest);
const own = (command: string, args: Args, rest?: Rest): Attempt => attempt('his own', command, args, rest);
const denied = (command: string, args: Args, rest?: Rest): Attempt => attempt('denied', command, args, { exit: 5, says: /"code":"denied"/, ...rest });
const unknown = (command: string, args: Args, rest?: Rest): Attempt => attempt('not found', command, args, { exit: 3, says: /"code":"not_found"/, ...rest });
const leftOut = (command: string, args: Args, rest?: Rest): Attempt => attempt('left out', command, args, { says: /may not inspect the work of/, ...rest });
const notHis = (command: string, args: Args, rest?: Rest): Attempt => attempt('not his to do', command, args, rest);
const noIssuer: Rest = { exit: 5, says: /it is no issuer|none of them is yours|the key of the mesh/ };

const theirs = /@(ledger|broken|hidden|asks|tree)@laptop/;
const passphrase = 'twelve letters and more\ntwelve letters and more\n';

/** What changes nothing that another attempt looks at: these may go on at once. */
export const attempts: readonly Attempt[] = [
  shown('agents', ['agents', '--node', 'laptop'], { says: /@ledger@laptop#main.*"team":"money".*"presence":\{"state":"busy"/s, neverSays: /@hidden@laptop|"cwd"|"argv"|"env"|"shares"/ }),
  shown('agents', ['agents', '--node', 'laptop', '--owner', 'bob'], { says: /"agents":\[\]/ }),
  shown('agent show', ['agent', 'show', 'ledger@laptop/main'], { says: /"harness":"command"/, neverSays: /"cwd"|"argv"|"env"|"shares"|"permissions"/ }),
  shown('agent show', ['agent', 'show', 'broken@laptop/main'], { says: /"unavailableWhy":"no such command: …"/ }),
  unknown('agent show', ['agent', 'show', 'hidden@laptop/main']),
  shown('resolve', ['resolve', 'ledger@laptop/main', '--explain'], { says: /exactly this instance/ }),
  unknown('resolve', ['resolve', 'hidden@laptop/main', '--explain']),
  shown('peers', ['peers'], { says: /"name":"laptop"/ }),
  shown('ping', ['ping', 'laptop', '-c', '1'], { says: /"type":"pong"/ }),
  shown('mesh members', ['mesh', 'members'], { says: /"name":"laptop"/ }),
  shown('completion', ['__complete', 'fish', 'invoke', '@'], { isPlain: true, says: /@ledger@laptop#main/, neverSays: /@hidden@laptop/ }),
  own('completion', ['__complete', 'fish', 'flight', 'show', ''], { isPlain: true, neverSays: theirs }),
  own('completion', ['completion', 'bash'], { isPlain: true, says: /complete/ }),

  denied('invoke', ['invoke', 'ledger@laptop/main', 'hand them over']),
  denied('invoke', ['invoke', 'ledger', '--any-owner', 'hand them over']),
  denied('invoke', ['invoke', 'asks@laptop/main', '--continue', 'go on']),
  unknown('invoke', ['invoke', 'ledger', 'hand them over'], { says: /belongs to/ }),
  unknown('invoke', ['invoke', 'hidden@laptop/main', 'hand them over']),
  own('invoke', ['invoke', 'open@laptop/main', 'more'], { says: /open did more/ }),

  own('flights', ['flights'], { says: /@open@laptop#main/ }),
  denied('flights', ['flights', '--node', 'laptop']),
  ...(['show', 'follow', 'output', 'wait', 'cancel', 'diff', 'discard'] as const).flatMap((verb) => [
    unknown(`flight ${verb}`, ({ ada }) => ['flight', verb, ada.tree]),
    unknown(`flight ${verb}`, ({ ada }) => ['flight', verb, ada.running.slice(-8)]),
  ]),
  unknown('flight fetch', ({ ada, cluster }) => ['flight', 'fetch', ada.tree, '--into', cluster.path('bobs')]),
  unknown('flight reply', ({ ada }) => ['flight', 'reply', ada.waiting, 'yes']),
  unknown('flight approve', ({ ada }) => ['flight', 'approve', ada.waiting, ada.request]),
  unknown('flight deny', ({ ada }) => ['flight', 'deny', ada.waiting, ada.request]),
  own('flight show', ({ bob }) => ['flight', 'show', bob.done], { says: /open did bobs task/ }),
  own('flight output', ({ bob }) => ['flight', 'output', bob.done], { says: /open did bobs task/ }),
  own('flight follow', ({ bob }) => ['flight', 'follow', bob.done], { says: /open did bobs task/ }),
  own('flight wait', ({ bob }) => ['flight', 'wait', bob.done]),
  own('inbox', ['inbox'], { says: /"waiting":\[\]/ }),

  own('deliveries', ['deliveries'], { says: /@open@laptop#main/ }),
  denied('deliveries', ['deliveries', '--node', 'laptop']),
  unknown('delivery show', ({ ada }) => ['delivery', 'show', ada.done]),
  own('delivery show', ({ bob }) => ['delivery', 'show', bob.done]),
  unknown('delivery redrive', ({ ada }) => ['delivery', 'redrive', ada.failed, '--yes']),
  unknown('trace', ({ ada }) => ['trace', ada.done]),
  unknown('trace', ({ ada }) => ['trace', ada.done.slice(-8)]),
  own('trace', ({ bob }) => ['trace', bob.done], { says: /"node":"laptop".*"what":"flight.started"/ }),
  leftOut('tail', ['tail', '--no-follow', '--since', '1h']),
  leftOut('tail', ['tail', '--node', 'laptop', '--no-follow', '--since', '1h']),
  leftOut('report', ['report', '--since', '1h']),
  shown('top', ['top'], { until: /"busy":\[.*@ledger@laptop#main/ }),
  own('top', ['top'], { until: /"open":\[\{/, neverSays: /"open":\[.*@(ledger|asks)@laptop/ }),
  own('export', ['export'], { says: /@open@laptop#main/ }),

  notHis('agent rm', ['agent', 'rm', 'ledger@laptop/main'], { exit: 6, says: /belongs to laptop/ }),
  notHis('agent share', ['agent', 'share', 'ledger@laptop/main', '--with', 'bob'], { exit: 6, says: /which alone decides/ }),
  notHis('agent unshare', ['agent', 'unshare', 'open@laptop/main'], { exit: 6, says: /which alone decides/ }),
  notHis('agent add', ['agent', 'add', 'ledger@laptop', '--cwd', '/'], { exit: 2, says: /is not a name/ }),
  own('agent add', ['agent', 'add', 'ledger', '--workspace', 'other', '--json', '--', '/bin/cat'], { isPlain: true, says: /@ledger@studio#other/ }),
  notHis('policy check', ['policy', 'check', 'bob', 'inspect', 'ledger@laptop/main'], { exit: 6, says: /which alone decides/ }),
  own('policy check', ['policy', 'check', 'person:nobody', 'invoke', 'mine'], { exit: 5, says: /"allowed":false/ }),
  own('policy show', ['policy', 'show'], { says: /"owner":"bob"/, neverSays: theirs }),
  own('agent scan', ({ studio }) => ['agent', 'scan', studio.home], { says: /"projects":\[\]/ }),
  notHis('mesh invite', ['mesh', 'invite', '--for', 'eve'], noIssuer),
  notHis('mesh pending', ['mesh', 'pending'], noIssuer),
  notHis('mesh admit', ['mesh', 'admit', '--user', 'eve@example.com'], noIssuer),
  notHis('mesh remove', ['mesh', 'remove', 'laptop', '--yes'], noIssuer),
  notHis('mesh issuer add', ['mesh', 'issuer', 'add', 'studio'], noIssuer),
  notHis('mesh recovery export', ({ cluster }) => ['mesh', 'recovery', 'export', cluster.path('recovery')], { ...noIssuer, stdin: passphrase }),
  notHis('mesh recovery import', ({ cluster }) => ['mesh', 'recovery', 'import', cluster.path('recovery')], { exit: 3, stdin: passphrase }),
  notHis('mesh create', ['mesh', 'create', 'home', '--new'], { exit: 6, says: /is in the mesh/ }),
  notHis('mesh join', ['mesh', 'join', 'bkn1.guessed'], { exit: 5, says: /"code":"denied"/ }),
  notHis('mesh rename', ['mesh', 'rename', 'laptop'], { exit: 6, says: /another node of this mesh is called laptop/ }),

  own('up', ['up', '--detach'], { exit: 6, says: /already running here/ }),
  own('status', ['status'], { says: /"name":"studio"/ }),
  own('version', ['version']),
  own('doctor', ['doctor'], { says: /"checks"/ }),
  own('logs', ['logs', '-n', '200'], { neverSays: theirs }),
  own('config path', ['config', 'path'], { says: /studio/ }),
  own('config show', ['config', 'show'], { says: /studio/ }),
  own('config check', ['config', 'check'], { says: /"ok":true/ }),
  own('audit', ['audit'], { says: /mesh\.joined/, neverSays: theirs }),
  own('setup', ['setup'], { says: /studio/ }),
  own('backup', ({ cluster }) => ['backup', cluster.path('studio.db')], { says: /"agents":[12]/ }),
  own('service install', ['service', 'install', '--dry-run'], { says: /studio/ }),
  own('service status', ['service', 'status'], { says: /"installed":false/ }),
  own('service uninstall', ['service', 'uninstall'], { says: /"removed":\[\]/ }),
  own('uninstall', ['uninstall'], { exit: 6, says: /a node runs here/ }),
];

/** In this order, after all others. */
export const lastAttempts: readonly Attempt[] = [
  own('flight cancel', ({ bob }) => ['flight', 'cancel', bob.running], { says: /"state":"cancelled"/ }),
  own('mesh rename', ['mesh', 'rename', 'atelier'], { says: /atelier/ }),
  own('agent rm', ['agent', 'rm', 'mine'], { says: /@mine@atelier#main/ }),
  own('restart', ['restart'], { says: /"type":"ready"/ }),
  own('mesh leave', ['mesh', 'leave', '--yes'], { says: /"left":true/ }),
  own('down', ['down', '--force'], { says: /"stopped":true/ }),
];

/** What is said of anything of Ada's that Bob may not have, and what no answer to him may have in it. */
export function flawOf({ says, neverSays, exit = 0 }: Attempt, code: number | null, text: string): string | undefined {
  if (text.includes(secret)) return `it tells what is Ada's: ${text.slice(Math.max(0, text.indexOf(secret) - 200), text.indexOf(secret) + 100)}`;
  if (code !== exit) return `it exited ${String(code)}, not ${exit}: ${text.slice(0, 600)}`;
  if (says !== undefined && !says.test(text)) return `it does not say ${String(says)}: ${text.slice(0, 600)}`;
  return neverSays?.test(text) === true ? `it says ${String(neverSays)}: ${text.slice(0, 600)}` : undefined;
}
