import { describe, expect, test } from 'vitest';
import { forBash, splitLine } from '../../../../src/cli/completion/command-line.ts';

/** As bash 5 has them, with and without host names. */
const breaks = ' \t\n"\'@><=;|&(:';
const withoutHosts = ' \t\n"\'><=;|&(:';

describe('a line', () => {
  test.each<[string, string[], string]>([
    ['beckon ', [''], ''],
    ['beckon in', ['in'], 'in'],
    ['beckon invoke fabric@laptop/ma', ['invoke', 'fabric@laptop/ma'], 'fabric@laptop/ma'],
    ['beckon  invoke  x ', ['invoke', 'x', ''], ''],
    ['HOME=/x A=b ./scripts/beckon status', ['status'], 'status'],
    ["beckon invoke '@fab", ['invoke', '@fab'], "'@fab"],
    ['beckon invoke "a b"c\\ d', ['invoke', 'a bc d'], '"a b"c\\ d'],
    ['beckon --json invoke --harness=cl', ['--json', 'invoke', '--harness=cl'], '--harness=cl'],
    ['beckon x\\', ['x'], 'x\\'],
  ])('%j', (line, words, raw) => {
    expect(splitLine(line)).toEqual({ words, raw });
  });
});

describe('what bash puts in', () => {
  const addresses = ['fabric@laptop/main', 'fabric@desktop/main'];
  test.each<[string, readonly string[], string, string[]]>([
    ['beckon invoke fab', addresses, breaks, addresses],
    ['beckon invoke fabric@', addresses, breaks, ['@laptop/main', '@desktop/main']],
    ['beckon invoke fabric@lap', addresses, breaks, ['@laptop/main']],
    ['beckon invoke fabric@lap', addresses, withoutHosts, ['fabric@laptop/main']],
    ['beckon invoke @fabric@l', ['@fabric@laptop#main'], breaks, ['@laptop#main']],
    ['beckon invoke @f', ['@fabric@laptop#main'], breaks, ['@fabric@laptop#main']],
    ["beckon invoke '@fabric@l", ['@fabric@laptop#main'], breaks, ['@fabric@laptop#main']],
    ['beckon agent add --harness=cl', ['--harness=claude', '--harness=command'], breaks, ['claude']],
    ['beckon up --listen 127.0.0.1:', ['127.0.0.1:7423'], breaks, ['7423']],
  ])('%j', (line, values, wordBreaks, expected) => {
    expect(forBash(values, splitLine(line), wordBreaks)).toEqual(expected);
  });
});
