/** All commands, as commander knows them. */
import { Command, Help } from 'commander';
import type { Context } from './context.ts';
import { defineAgentList } from './agent-list.ts';
import { defineAgents } from './agents.ts';
import { defineCompletion } from './completion/command.ts';
import { defineAudit } from './audit.ts';
import { defineBackup } from './backup.ts';
import { defineDeliveries } from './deliveries.ts';
import { defineDoctor } from './doctor.ts';
import { defineConfig } from './config.ts';
import { defineExport } from './export.ts';
import { defineFlights } from './flights.ts';
import { defineInvoke } from './invoke-command.ts';
import { defineLogs } from './logs.ts';
import { defineMesh } from './mesh.ts';
import { defineNode } from './node.ts';
import { examples } from './options.ts';
import type { Register } from './options.ts';
import { defineScan } from './scan.ts';
import { defineUninstall } from './uninstall.ts';
import { definePeers } from './peers.ts';
import { definePing } from './ping.ts';
import { definePolicy } from './policy.ts';
import { defineReport } from './report.ts';
import { defineSetup } from './setup.ts';
import { defineSupervision } from './supervision.ts';
import { defineTail } from './tail.ts';
import { defineTop } from './top.ts';
import { defineTrace } from './trace.ts';

/** `done` is told the exit code of the command that ran. */
export function buildProgram(context: Context, done: (exitCode: number) => void): Command {
  const program = new Command('beckon');
  configure(program, context)
    .description('Call an agent that runs on another of your machines.')
    .usage('COMMAND [options]')
    .version(context.host.version, '-V, --version', 'print the version')
    .option('--json', 'print JSON on stdout, errors too')
    .helpCommand('help [command]', 'show the help of a command')
    .addHelpText(
      'after',
      examples('beckon up --detach', 'beckon agent add -- ./agent.sh', 'beckon invoke fabric@laptop/main "run the tests"') +
        '\nbeckon COMMAND --help says more about a command.\n',
    );
  const on: Register = (command, action) => {
    command.action(async () => {
      const args = command.processedArgs.flat().filter((word): word is string => typeof word === 'string');
      done(await action(context, args, command.optsWithGlobals()));
    });
  };
  for (const define of [defineNode, defineMesh, definePeers, definePing, defineAgents, defineAgentList, defineScan, defineInvoke, defineFlights, defineTrace, defineDeliveries, defineTail, defineReport, defineTop, defineExport, defineAudit, defineBackup, defineDoctor, defineLogs, defineConfig, definePolicy, defineSetup, defineSupervision, defineUninstall, defineCompletion]) define(program, on);
  for (const command of everyCommand(program)) configure(command, context);
  return program;
}

function configure(command: Command, { host, out }: Context): Command {
  return command
    .exitOverride()
    .configureHelp({
      showGlobalOptions: true,
      visibleGlobalOptions: (of) => new Help().visibleGlobalOptions.call({ showGlobalOptions: true }, of).filter(({ long }) => long === '--json'),
    })
    .configureOutput({
      writeOut: (text) => void host.stdout.write(text),
      writeErr: () => undefined,
      outputError: () => undefined,
      getOutHelpWidth: () => Math.min(out.columns, 120),
      getErrHelpWidth: () => Math.min(out.columns, 120),
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    });
}

function everyCommand(command: Command): Command[] {
  return command.commands.flatMap((each) => [each, ...everyCommand(each)]);
}
