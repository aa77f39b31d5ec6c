import { describe, expect, test } from 'vitest';
import { commandLine, longestArgumentBytes } from '../../../src/harness/command-line.ts';

const task = (text: string | Uint8Array) => ({ text: typeof text === 'string' ? new TextEncoder().encode(text) : text, files: [] });

describe('the command line of a run', () => {
  test('{task} as a whole argument becomes the task, however it looks to a shell', () => {
    const text = '$(rm -rf ~) "; ` \n{task} --help é';
    expect(commandLine({ argv: ['ask', '-p', '{task}', '{task}'] }, task(text))).toEqual({ command: 'ask', args: ['-p', text, text], hasTask: true });
  });

  test('{task} inside an argument, or as the program itself, is text like any other', () => {
    expect(commandLine({ argv: ['{task}', 'sh', '-c', 'echo {task}'] }, task('x'))).toEqual({ command: '{task}', args: ['sh', '-c', 'echo {task}'], hasTask: false });
  });

  test('an empty task is an empty argument', () => {
    expect(commandLine({ argv: ['a', '{task}'] }, task('')).args).toEqual(['']);
  });

  test.each([
    ['one byte too long', 'x'.repeat(longestArgumentBytes + 1), /131072 bytes/],
    ['with a NUL byte', 'a\0b', /NUL/],
    ['that is not UTF-8', Uint8Array.of(0xff), /UTF-8/],
  ])('a task %s is refused as an argument, with the advice to read stdin', (_what, text, message) => {
    expect(() => commandLine({ argv: ['a', '{task}'] }, task(text))).toThrow(expect.objectContaining({ code: 'invalid', message: expect.stringMatching(message), hint: expect.stringContaining('stdin') }));
    expect(commandLine({ argv: ['a'] }, task(text)).hasTask).toBe(false);
  });

  test.each([[[]], [['']], [['a', 'b\0c']]])('argv %j is refused', (argv) => {
    expect(() => commandLine({ argv }, task('x'))).toThrow(expect.objectContaining({ code: 'invalid' }));
  });
});
