/** What the files under docker/ say of the rest of the tree; building and running the image is test/system/image.slow. */
import { describe, expect, test } from 'vitest';
import { buildProgram } from '../../../src/cli/program.ts';
import { Output } from '../../../src/cli/output.ts';
import { CliProcess } from '../../support/cli-host.ts';
import { paths, text } from './source.ts';

const dockerfile = text('docker/Dockerfile');
const composed = paths().filter((path) => /^docker\/compose\..*\.yaml$/.test(path));

function optionsOf(...words: string[]): string[] {
  const { host } = new CliProcess({ socketPath: '/nowhere' });
  const program = buildProgram({ host, out: new Output(host, false), behindDashes: [] }, () => undefined);
  return words.reduce((command, word) => command.commands.find((each) => each.name() === word) ?? command, program).options.map(({ long }) => long ?? '');
}

/** The words of a command that text begins with. */
function commandOf(words: readonly string[]): string[] {
  const { host } = new CliProcess({ socketPath: '/nowhere' });
  let command = buildProgram({ host, out: new Output(host, false), behindDashes: [] }, () => undefined);
  const path: string[] = [];
  for (const word of words) {
    const next = command.commands.find((each) => each.name() === word);
    if (next === undefined) return path;
    path.push(word);
    command = next;
  }
  return path;
}

describe('docker/', () => {
  test('the base is the official image of the Node that this project pins, and can be another', () => {
    expect(dockerfile).toContain(`ARG NODE_IMAGE=docker.io/library/node:${text('.node-version').trim()}-`);
    expect(dockerfile.match(/^FROM .*$/gm)).toEqual(['FROM ${NODE_IMAGE} AS build', 'FROM ${NODE_IMAGE} AS dependencies', 'FROM ${NODE_IMAGE}']);
  });

  test('the build is given all that the Dockerfile copies', () => {
    const given = text('.dockerignore').split('\n').filter((line) => line.startsWith('!')).map((line) => line.slice(1));
    const copied = [...dockerfile.matchAll(/^COPY (?!--from)(?:--\S+ )*(.*)$/gm)].flatMap(([, words = '']) => words.split(' ').slice(0, -1));
    expect(copied.filter((path) => !given.some((each) => path === each || path.startsWith(`${each}/`)))).toEqual([]);
    expect(copied.filter((path) => !paths().some((each) => each === path || each.startsWith(`${path}/`)))).toEqual([]);
  });

  test('the last stage is no root, and drains before it is killed', () => {
    const last = dockerfile.slice(dockerfile.lastIndexOf('\nFROM '));
    expect(last).toMatch(/^USER node$/m);
    expect(last).toMatch(/^STOPSIGNAL SIGTERM$/m);
    expect(last).toMatch(/^ENTRYPOINT \["\/usr\/bin\/tini", "--",/m);
  });

  test('each flag that images and compositions give to beckon exists', () => {
    const commands = [dockerfile, ...composed.map(text)].flatMap((source) => [...source.matchAll(/(?:^CMD |^\s+command: )\[(.*)\]$/gm)].map(([, words = '']) => words.split(', ').map((word) => word.replaceAll('"', ''))));
    expect(commands.length).toBeGreaterThanOrEqual(1 + 3 + 1);
    const known = optionsOf('up');
    for (const [first, ...words] of commands) {
      expect(first).toBe('up');
      expect(words.filter((word) => word.startsWith('--') && !known.includes(word))).toEqual([]);
    }
    expect(dockerfile).toContain('CMD ["beckon", "doctor", "--quick"]');
    expect(optionsOf('doctor')).toContain('--quick');
  });

  test('each command that an alert tells to give exists, with its flags', () => {
    const told = [...text('docker/prometheus/alerts.yml').matchAll(/runbook: "(.*)"$/gm)].flatMap(([, words = '']) => [...words.matchAll(/\bbeckon ((?:[a-z]+(?: |\b))+)((?:--[a-z]+)?)/g)]);
    expect(told.length).toBeGreaterThan(15);
    for (const [, words = '', flag = ''] of told) {
      const path = commandOf(words.trim().split(' '));
      if (path.length === 0) throw new Error(`there is no beckon ${words}`);
      if (flag !== '') expect([...optionsOf(...path), '--version']).toContain(flag);
    }
  });

  test.each(composed)('%s: no composition runs it as root, with a root file system that can be written, or without time to drain', (path) => {
    const source = text(path);
    expect(source).not.toMatch(/user: *["']?(root|0)\b|privileged: *true/);
    expect(source).toMatch(/read_only: true/);
    const [, drain] = /--drain, (\d+)s/.exec(source) ?? [];
    const [, grace] = /stop_grace_period: (\d+)s/.exec(source) ?? [];
    expect(Number(grace)).toBeGreaterThanOrEqual(Number(drain) + 15);
  });
});
