/** What a node says of its settings. @throws BrokerError `incompatible` for words that this version does not know */
import { settingSources } from '../domain/config-view.ts';
import type { ConfigView, SettingValue, SettingView } from '../domain/config-view.ts';
import { BrokerError } from '../domain/errors.ts';
import { quoted } from '../domain/text.ts';
import type * as wire from '../gen/beckon/v1/config.ts';

export function decodeConfig({ path, exists, settings, flaws }: wire.ShowConfigResponse): ConfigView {
  return {
    path,
    exists,
    settings: settings.map(decodeSetting),
    flaws: flaws.map(({ line, column, ...rest }) => ({ ...rest, ...(line === 0 ? {} : { line, column }) })),
  };
}

function decodeSetting({ key, now, overruled, waiting, needs }: wire.Setting): SettingView {
  const view = { key, ...decodeValue(now), overruled: overruled.map(decodeValue) };
  if (waiting === undefined) return view;
  return { ...view, waiting: { ...decodeValue(waiting), needs: needs === 'reload' ? 'reload' : 'restart' } };
}

function decodeValue(message: wire.SettingValue | undefined): SettingValue {
  const { value, from, where } = message ?? { value: 'null', from: 'default', where: '' };
  const source = settingSources.find((each) => each === from);
  if (source === undefined) throw strange(`the source ${quoted(from)} of a setting`);
  try {
    return { value: JSON.parse(value) as unknown, from: source, where };
  } catch (error) {
    if (error instanceof SyntaxError) throw strange('a value of a setting');
    throw error;
  }
}

function strange(what: string): BrokerError {
  return new BrokerError('incompatible', `${what} is not known to this version of Beckon`, { hint: 'update Beckon on this machine' });
}
