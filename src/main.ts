#!/usr/bin/env node
/** argv, environment, signals, exit code: nothing else reads or sets them. */
import { readFileSync } from 'node:fs';
import { enableCompileCache, flushCompileCache } from 'node:module';
import { homedir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';

/** As it was given: nothing that is set below is anybody else's. */
const env = { ...process.env };

// Below this user's own home, since whoever can write there decides what runs here. Starts take a third of the time.
const { XDG_CACHE_HOME: cacheHome = '', NODE_COMPILE_CACHE: compileCache = '' } = env;
const compiled = join(cacheHome.startsWith('/') ? cacheHome : join(homedir(), '.cache'), 'beckon', 'compiled');
enableCompileCache(compiled);
// Threads are told by the environment alone; without a cache each holds a TypeScript parser of 35 MB when it runs from sources.
if (compileCache === '') process.env['NODE_COMPILE_CACHE'] = compiled;

const { paths: findPaths } = await import('./app/paths.ts');
const { createSystemClock } = await import('./app/system-clock.ts');
const { runCli } = await import('./cli/run.ts');
const { systemHost } = await import('./cli/system-host.ts');

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string };
const paths = findPaths(env, process.platform, homedir(), process.getuid?.() ?? 0);
const logPath = join(paths.logDir, 'node.log');
const stderrPath = join(paths.logDir, 'stderr.log');

/** Of a node that fails in this process, for its log. */
let lastWords = (_thrown: unknown): void => undefined;

const compiledAfterMs = 5_000;
const clock = createSystemClock();
const host = systemHost({
  process,
  clock,
  version,
  socketPath: () => paths.socketPath,
  logPath: () => logPath,
  stderrPath: () => stderrPath,
  home: async () => {
    const { ensurePrivateDir } = await import('./app/private-dir.ts');
    for (const directory of [paths.stateDir, paths.logDir]) await ensurePrivateDir(directory);
    // BECKON_HOME as found from here, since the node works elsewhere.
    return { cwd: paths.stateDir, env: paths.home === undefined ? env : { ...env, BECKON_HOME: paths.home } };
  },
  examine: async (options) => {
    const { examineHere } = await import('./app/doctor.ts');
    return await examineHere({ paths, uid: process.getuid?.() ?? 0, env, ...options });
  },
  survey: async () => {
    const { surveyHere } = await import('./app/survey.ts');
    return await surveyHere({ paths, env });
  },
  belongings: {
    find: async () => {
      const { findBelongings } = await import('./app/belongings.ts');
      return await findBelongings({ paths, cacheDir: compiled });
    },
    remove: async (belongings) => {
      const { removeBelongings } = await import('./app/belongings.ts');
      return await removeBelongings({ paths, cacheDir: compiled }, belongings);
    },
  },
  supervision: async () => {
    const { createSupervision } = await import('./app/supervision.ts');
    const { systemRun } = await import('./supervisor/run.ts');
    const { currentUser } = await import('./app/current-user.ts');
    const argv = [process.execPath, ...process.execArgv, process.argv[1] ?? ''] as const;
    return createSupervision({ env, platform: process.platform, uid: process.getuid?.() ?? 0, ppid: process.ppid, own: currentUser(), argv, run: systemRun(env) });
  },
  copy: {
    refusedBecause: async () => {
      const { cloneWords, readCloneMark } = await import('./app/clone-mark.ts');
      const mark = await readCloneMark(paths.cloneFile);
      return mark === undefined ? undefined : cloneWords(mark);
    },
    rekey: async () => {
      const { rekey } = await import('./app/rekey.ts');
      const { openNodeLog } = await import('./app/open-log.ts');
      const { log } = await openNodeLog({ path: logPath, clock });
      return await rekey({ paths, clock, log, version });
    },
  },
  run: async ({ given, offline, onLogLine }) => {
    // Before anything of the node's own is open. A command that lends itself the store starts no agent.
    if (!offline) (await import('./app/system-descriptors.ts')).closeInherited();
    const { runNode } = await import('./app/node.ts');
    const { openNodeLog, silentLog } = await import('./app/open-log.ts');
    const nodeLog = offline ? undefined : await openNodeLog({ path: logPath, clock, ...(onLogLine === undefined ? {} : { onLine: onLogLine }) });
    if (nodeLog !== undefined) lastWords = (thrown) => nodeLog.log.error({ err: thrown }, 'the node failed, and ends');
    const logging = nodeLog === undefined ? { log: silentLog } : { log: nodeLog.log, logControl: nodeLog.control };
    const { BECKON_CRASH_AT: crashAt = '' } = env;
    // Not left to the end: a node that is killed has none. By then the libraries of a node in a mesh are there, too.
    clock.setTimer(compiledAfterMs, flushCompileCache);
    return await runNode({ paths, env, given, offline, version, pid: process.pid, ...logging, ...(crashAt === '' ? {} : { crashAt }) });
  },
  config: {
    path: () => paths.configFile,
    here: async () => {
      const { configHere } = await import('./app/config-view.ts');
      return await configHere({ paths, env });
    },
    check: async (path) => {
      const { readConfigFile } = await import('./app/config-file.ts');
      return await readConfigFile(path);
    },
  },
});

/** A defect: one line, never a stack. */
function fail(thrown: unknown): never {
  lastWords(thrown);
  const why = (thrown instanceof Error ? thrown.message : String(thrown)).split('\n', 1)[0];
  process.stderr.write(`error: beckon itself failed: ${why}\n`);
  process.exit(70);
}
process.on('uncaughtException', fail);
process.on('unhandledRejection', fail);

// Timers of the clock port keep no process alive, and a command that waits for one is not over.
const { port1: held } = new MessageChannel();
held.on('message', () => undefined);

const code = await runCli(process.argv.slice(2), host);
process.stdout.write('', () => process.exit(code));
