import { describe, expect, test } from 'vitest';
import { assignment, commandArgument, commandProgram, patternPath, wholeValue } from '../../../src/supervisor/quoting.ts';

describe('text in a unit file', () => {
  test.each([
    ['/opt/beckon/main.ts', '/opt/beckon/main.ts'],
    ['--drain', '--drain'],
    ['', '""'],
    ['a b', '"a b"'],
    ['$HOME ${X}', '"$$HOME $${X}"'],
    ['100%h', '"100%%h"'],
    ['say "hi" \\n', '"say \\"hi\\" \\\\n"'],
    [';', '";"'],
    ["it's", '"it\'s"'],
  ])('the argument %j is %s', (given, written) => {
    expect(commandArgument(given)).toBe(written);
  });

  test('a program keeps its dollars: no variable is looked for in it', () => {
    expect(commandProgram('/a $b/%n')).toBe('"/a $b/%%n"');
  });

  test('a variable is one word with its name', () => {
    expect(assignment('BECKON_HOME', '/a "b" $c %d')).toBe('"BECKON_HOME=/a \\"b\\" $c %%d"');
  });

  test('what is a pattern elsewhere is only itself in a path', () => {
    expect(patternPath('/a b/[x]*?\\/%n')).toBe('/a b/\\[x\\]\\*\\?\\\\/%%n');
    expect(wholeValue('/a b/[x]*%n')).toBe('/a b/[x]*%%n');
  });

  test.each(['a\nExecStartPre=/bin/rm', 'a\u0000', 'a\u007f', '\t'])('%j is refused: it would begin another line, or is nobody’s path', (text) => {
    for (const write of [commandArgument, commandProgram, patternPath, wholeValue, (value: string) => assignment('A', value)]) expect(() => write(text)).toThrow(/control character/);
  });
});
