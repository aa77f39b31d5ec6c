import { appendFileSync, chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { LogFile } from '../../../src/app/log-file.ts';
import { because, notRoot } from '../../support/programs.ts';

let directory = '';
let path = '';
let nowMs = 0;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'beckon-log-'));
  path = join(directory, 'node.log');
  nowMs = 0;
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const made = (bytes: number, files: number, at = path): LogFile => new LogFile({ path: at, limits: { bytes, files }, clock: { monotonic: () => nowMs }, lostLine: (count, code) => `lost ${count} ${code}\n` });
const texts = (): Record<string, string> => Object.fromEntries(readdirSync(directory).toSorted().map((name) => [name, readFileSync(join(directory, name), 'utf8')]));

const noFullDisk = existsSync('/dev/full') ? undefined : 'no /dev/full on this machine';
const mayAll = notRoot === undefined ? 'root may write to it' : undefined;

describe('the file of a log', () => {
  test('is put aside when it is full, and the oldest goes', () => {
    const file = made(8, 3);
    for (const line of ['one\n', 'two\n', 'three\n', 'four\n', 'five\n', 'six\n']) file.write(line);
    expect(texts()).toEqual({ 'node.log': 'six\n', 'node.log.1': 'five\n', 'node.log.2': 'four\n' });
  });

  test('is this user’s alone, and so is each that it is put aside as', () => {
    const file = made(8, 3);
    for (const line of ['one\n', 'three\n', 'four\n']) file.write(line);
    expect(readdirSync(directory).map((name) => statSync(join(directory, name)).mode & 0o777)).toEqual([0o600, 0o600, 0o600]);
  });

  test('is not made before there is something to say', () => {
    made(8, 3);
    expect(readdirSync(directory)).toEqual([]);
  });

  test('goes on where the one before ended, and ends a line that a kill cut off', () => {
    writeFileSync(path, '{"a":1}\n{"b":');
    made(1000, 3).write('{"c":3}\n');
    expect(texts()).toEqual({ 'node.log': '{"a":1}\n{"b":\n{"c":3}\n' });
  });

  test('takes a line that is larger than a whole file', () => {
    const file = made(8, 2);
    file.write('0123456789\n');
    file.write('x\n');
    expect(texts()).toEqual({ 'node.log': 'x\n', 'node.log.1': '0123456789\n' });
  });

  test('a directory that has the name of one put aside stays where it is, and no line is lost', () => {
    mkdirSync(`${path}.1`);
    writeFileSync(join(`${path}.1`, 'notes'), 'mine\n');
    const file = made(4, 3);
    for (const line of ['one\n', 'two\n', 'tre\n']) file.write(line);
    mkdirSync(`${path}.4`);
    for (const line of ['for\n', 'fiv\n']) file.write(line);
    expect(readdirSync(directory).toSorted()).toEqual(['node.log', 'node.log.1', 'node.log.2', 'node.log.3', 'node.log.4']);
    expect(['node.log', 'node.log.2', 'node.log.3', join('node.log.1', 'notes')].map((name) => readFileSync(join(directory, name), 'utf8'))).toEqual(['fiv\n', 'for\n', 'tre\n', 'mine\n']);
  });

  test('follows new limits: with fewer files, those that are too many go with the next one', () => {
    const file = made(4, 5);
    for (const line of ['one\n', 'two\n', 'tre\n', 'for\n']) file.write(line);
    file.setLimits({ bytes: 4, files: 2 });
    file.write('fiv\n');
    expect(texts()).toEqual({ 'node.log': 'fiv\n', 'node.log.1': 'for\n' });
    file.setLimits({ bytes: 4, files: 1 });
    file.write('six\n');
    expect(texts()).toEqual({ 'node.log': 'six\n' });
  });

  test('that somebody moved or removed is begun again: at once when told, else within ten seconds', () => {
    const file = made(1000, 3);
    file.write('one\n');
    renameSync(path, `${path}-moved`);
    file.reopen();
    file.write('two\n');
    rmSync(path);
    file.write('nobody sees this\n');
    nowMs += 10_000;
    file.write('three\n');
    expect(texts()).toEqual({ 'node.log': 'three\n', 'node.log-moved': 'one\n' });
  });

  test('in a directory that was removed is made with it again', () => {
    const inside = join(directory, 'logs', 'node.log');
    const file = made(1000, 3, inside);
    file.write('one\n');
    rmSync(join(directory, 'logs'), { recursive: true });
    nowMs += 10_000;
    file.write('two\n');
    expect(readFileSync(inside, 'utf8')).toBe('two\n');
    expect(statSync(join(directory, 'logs')).mode & 0o777).toBe(0o700);
  });

  test('that can not be put aside grows no further; what was lost is said when it can be again', () => {
    const file = made(8, 3);
    file.write('one\n');
    // Nothing can be made there, by no user.
    mkdirSync(`${path}.new`);
    for (const line of ['three\n', 'four\n', 'five\n']) file.write(line);
    expect(readFileSync(path, 'utf8')).toBe('one\n');
    rmSync(`${path}.new`, { recursive: true });
    file.write('not yet\n');
    nowMs += 1_000;
    file.write('six\n');
    expect(readFileSync(path, 'utf8')).toBe('lost 4 EISDIR\nsix\n');
  });

  test.skipIf(noFullDisk !== undefined)(`on a disk that is full loses lines and throws nothing${because(noFullDisk)}`, () => {
    const file = made(1_000_000, 2, '/dev/full');
    expect(() => {
      for (let count = 0; count < 1000; count += 1) file.write('nobody can write this down\n');
    }).not.toThrow();
    expect(existsSync('/dev/full.1')).toBe(false);
  });

  test.skipIf(mayAll !== undefined)(`that this user may not write to loses lines${because(mayAll)}`, () => {
    appendFileSync(path, '');
    chmodSync(path, 0o400);
    expect(() => made(1000, 2).write('x\n')).not.toThrow();
  });
});
