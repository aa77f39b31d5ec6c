/** The unit that runs a node. */
import type { Launch, Scope } from '../domain/supervision-port.ts';
import { assignment, commandArgument, commandProgram, patternPath, wholeValue } from './quoting.ts';

/** Of `up`: how long the node waits for what runs once it was told to stop; then it ends it in order. */
export const drainSeconds = 60;
/** More than that, the five seconds that agents have to end, and the closing of the store. */
const stopSeconds = 90;

/** The exit codes of a start that would fail again: config or flags, who may open what, another node or program in its place. */
const forPeople = [2, 5, 6];

export interface UnitPlace {
  readonly scope: Scope;
  readonly environmentPath: string;
}

/** @throws BrokerError `invalid` for a path with a control character */
export function systemdUnit({ argv, environment, stateDir, user }: Launch, { scope, environmentPath }: UnitPlace): string {
  const [program = '', ...args] = argv;
  const edit = scope === 'user' ? 'systemctl --user edit beckon' : 'sudo systemctl edit beckon';
  return `# Written by beckon service install, which writes it anew. For changes of your own: ${edit}

[Unit]
Description=Beckon node of ${wholeValue(user)}
${scope === 'system' ? systemOrder : userOrder}
# What a person must put right is not tried again (RestartPreventExitStatus); all else is, for as long as it takes.
StartLimitIntervalSec=0

[Service]
Type=exec
${scope === 'system' ? `User=${wholeValue(user)}\n` : ''}ExecStart=${[commandProgram(program), ...args.map(commandArgument)].join(' ')}
WorkingDirectory=~
# PATH and what agents need, as the installing shell had it: secrets may be in it, and this file is everybody's to read.
EnvironmentFile=${patternPath(environmentPath)}
${Object.entries(environment)
  .map(([name, value]) => `Environment=${assignment(name, value)}\n`)
  .join('')}
Restart=on-failure
RestartSec=1s
RestartPreventExitStatus=${forPeople.join(' ')}
# Reads the config file again.
ExecReload=/bin/sh -c 'kill -HUP "$MAINPID"'
# Killed, it is back at once. What failed by itself (no such address yet, no room on the disk) is tried less often.
ExecStopPost=/bin/sh -c 'case "$EXIT_CODE $EXIT_STATUS" in "exited "[0${forPeople.join('')}]|killed*|dumped*) ;; *) sleep 8 ;; esac'

# TERM to the node alone, which waits ${drainSeconds} s for what runs and then ends it; what is left of a killed node goes at once.
KillMode=mixed
TimeoutStopSec=${stopSeconds}s
# An agent that took all memory is no reason to stop the node and the other agents.
OOMPolicy=continue

# Agents do here what you can do in a shell, sudo and containers too, so there is no sandbox. Keys stay out of core dumps.
LimitCORE=0:infinity

[Install]
WantedBy=${scope === 'system' ? 'multi-user.target' : 'default.target'}

[X-Beckon]
StateDirectory=${wholeValue(stateDir)}
`;
}

const systemOrder = `Wants=network-online.target
After=network-online.target nss-user-lookup.target tailscaled.service`;

const userOrder = `# A user's unit can't wait for those of the system. The node waits itself for the tailnet, and is started again until an
# address that it is to listen on is there.`;

/** What `systemdUnit` was given as its state directory; undefined for a unit that it did not write. */
export function stateDirOfUnit(text: string): string | undefined {
  const [, section] = text.split(/^\[X-Beckon\]$/m);
  return /^StateDirectory=(.+)$/m.exec(section ?? '')?.[1]?.replaceAll('%%', '%');
}
