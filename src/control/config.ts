/** What is set for a node, in its wire form. */
import type { ConfigView, SettingValue } from '../domain/config-view.ts';
import type * as wire from '../gen/beckon/v1/config.ts';

export function encodeConfig({ path, exists, settings, flaws }: ConfigView): wire.ShowConfigResponse {
  return {
    path,
    exists,
    settings: settings.map((each) => ({
      key: each.key,
      now: encodeValue(each),
      overruled: each.overruled.map(encodeValue),
      waiting: each.waiting === undefined ? undefined : encodeValue(each.waiting),
      needs: each.waiting?.needs ?? '',
    })),
    flaws: flaws.map(({ line = 0, column = 0, ...rest }) => ({ ...rest, line, column })),
  };
}

function encodeValue({ value, from, where }: SettingValue): wire.SettingValue {
  return { value: JSON.stringify(value), from, where };
}
