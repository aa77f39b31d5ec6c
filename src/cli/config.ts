/** `config`: where the settings are, what they are and who set them, and what is wrong with them. */
import { basename, isAbsolute, resolve } from 'node:path';
import type { Command } from 'commander';
import { flawWords } from '../domain/config-view.ts';
import type { ConfigFlaw, ConfigView, SettingValue, SettingView } from '../domain/config-view.ts';
import { BrokerError, notFound } from '../domain/errors.ts';
import { neutralise } from '../domain/text.ts';
import { withNode } from './context.ts';
import type { Context } from './context.ts';
import { exitOfError, exitOk } from './exit.ts';
import { examples } from './options.ts';
import type { Register } from './options.ts';
import { table } from './table.ts';

export function defineConfig(program: Command, on: Register): void {
  const config = program.command('config').description('The settings of this machine’s node.').addHelpText('after', examples('beckon config show', 'beckon config check'));
  on(config.command('path').description('Print where the config file is, whether or not it is there.').addHelpText('after', examples('$EDITOR "$(beckon config path)"')), path);
  on(
    config
      .command('show')
      .description('Show what is set, by whom, and what waits for a restart; without a running node what the next start would find. Secrets are left out.')
      .addHelpText('after', examples('beckon config show', 'beckon config show --json')),
    show,
  );
  on(
    config
      .command('check')
      .argument('[file]', 'instead of the config file and the environment of this shell')
      .description('Say all that is wrong with the config, with line and column. Nothing is changed.')
      .addHelpText('after', examples('beckon config check', 'beckon config check ./config.toml')),
    check,
  );
}

async function path({ host, out }: Context): Promise<number> {
  const where = host.config.path();
  if (out.isJson) await out.json({ path: where });
  else await out.line(where);
  return exitOk;
}

async function show(context: Context): Promise<number> {
  const { host, out } = context;
  const { view, isRunning } = await inForce(context);
  if (out.isJson) {
    const { settings, flaws, ...rest } = view;
    await out.json({ ...rest, running: isRunning, settings: settings.map(settingDocument), problems: flaws.map(flawDocument) });
    return isRunning || flaws.length === 0 ? exitOk : exitOfError('invalid');
  }
  if (!isRunning) tellFlaws(context, view.flaws);
  const { yellow } = out.colours;
  const waits = ({ waiting }: SettingView): string => (waiting === undefined ? '' : waiting.needs === 'restart' ? `after a restart: ${valueWords(waiting)}` : `after SIGHUP: ${valueWords(waiting)}`);
  const rows = view.settings.map((each) => [each.key, valueWords(each), sourceWords(each), { text: waits(each), paint: yellow }]);
  await table(out, ['setting', 'value', 'from', rows.some((row) => (row[3] as { text: string }).text !== '') ? 'waiting' : ''], rows);
  for (const { key, overruled, ...first } of view.settings) {
    for (const each of overruled) out.note(out.dim(neutralise(`${key}: ${valueWords(each)} of ${sourceWords(each)} does not count: ${sourceWords(first)} goes before it`)));
  }
  if (isRunning && view.flaws.length > 0) {
    tellFlaws(context, view.flaws);
    out.note('the node goes on with what it read before; it would not start with this');
  }
  if (!isRunning) out.note(out.dim(`no node runs here: that is what the next one finds${view.exists ? '' : `; there is no ${host.config.path()}`}`));
  return isRunning || view.flaws.length === 0 ? exitOk : exitOfError('invalid');
}

async function inForce(context: Context): Promise<{ readonly view: ConfigView; readonly isRunning: boolean }> {
  try {
    return { view: await withNode(context, (client) => client.showConfig()), isRunning: true };
  } catch (thrown) {
    if (!(thrown instanceof BrokerError) || thrown.code !== 'unavailable') throw thrown;
    return { view: await context.host.config.here(), isRunning: false };
  }
}

async function check(context: Context, [file]: readonly string[]): Promise<number> {
  const { host, out } = context;
  const { exists, flaws, path: where } = await flawsOf(context, file === undefined || isAbsolute(file) ? file : resolve(host.cwd, file));
  if (out.isJson) await out.json({ path: where, exists, ok: flaws.length === 0, problems: flaws.map(flawDocument) });
  else if (flaws.length > 0) tellFlaws(context, flaws);
  else out.note(exists ? `${where} is understood` : `there is no ${where}: all is as it is by default`);
  return flaws.length === 0 ? exitOk : exitOfError('invalid');
}

async function flawsOf({ host }: Context, file: string | undefined): Promise<Pick<ConfigView, 'path' | 'exists' | 'flaws'>> {
  if (file === undefined) return host.config.here();
  const found = await host.config.check(file);
  if (!found.exists) throw notFound(`there is no file ${file}`, 'without a file the one that a node would read is checked: beckon config path');
  return { path: file, ...found };
}

function tellFlaws({ out }: Context, flaws: readonly ConfigFlaw[]): void {
  for (const flaw of flaws) out.error(new BrokerError('invalid', flawWords(flaw), { hint: flaw.hint }));
}

function settingDocument({ key, value, from, where, overruled, waiting }: SettingView): object {
  const source = (said: SettingValue): object => ({ value: said.value, from: said.from, where: said.where });
  return { key, ...source({ value, from, where }), overruled: overruled.map(source), ...(waiting === undefined ? {} : { waiting: { ...source(waiting), needs: waiting.needs } }) };
}

function flawDocument({ source, line, column, message, hint }: ConfigFlaw): object {
  return { source, ...(line === undefined ? {} : { line, column }), message, hint };
}

function valueWords({ value }: SettingValue): string {
  if (value === null) return '-';
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function sourceWords({ from, where }: SettingValue): string {
  switch (from) {
    case 'flag':
      return `${where} of this start`;
    case 'remembered':
      return `${where} of an earlier up`;
    case 'environment':
      return where;
    case 'file':
      return basename(where);
    case 'default':
      return 'default';
  }
}
