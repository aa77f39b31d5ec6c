/** The result of a run as README has it: what was measured, on what, and beside what. */
import { execFileSync } from 'node:child_process';
import { cpus, release, totalmem, type } from 'node:os';
import { root } from '../../scripts/run.ts';
import { nodeProgram } from './bare-node.ts';
import type { Bench, BenchResult } from './bench.ts';

export interface Measured {
  readonly bench: Pick<Bench, 'name' | 'summary'>;
  readonly result: BenchResult;
  /** Of `--compare`. */
  readonly compared: readonly string[];
}

/** What the figures are of, one line. */
export function machine(nowMs: number): string {
  const [first] = cpus();
  const output = (program: string, ...args: readonly string[]): string => execFileSync(program, args, { cwd: root, encoding: 'utf8' }).trim();
  const changed = output('git', 'status', '--porcelain') === '' ? '' : ' with changes';
  return [
    `Measured on ${new Date(nowMs).toISOString().slice(0, 10)} at commit ${output('git', 'rev-parse', '--short=10', 'HEAD')}${changed}`,
    `${cpus().length} processors (${(first?.model ?? 'unknown').trim()}), ${Math.round(totalmem() / 2 ** 30)} GiB of memory`,
    `${type()} ${release()}, Node ${output(nodeProgram, '--version').slice(1)}`,
  ].join('; ');
}

const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ').replaceAll('<', '&lt;').trim();

/** A row a bench; goals that are not met are said as those that are. */
export function markdown(measured: readonly Measured[], nowMs: number): string {
  const rows = measured.map(({ bench, result, compared }) => {
    const figures = result.rows.filter(({ isDetail }) => isDetail !== true).map(({ what, figure }) => `${cell(what)}: ${cell(figure)}`);
    const goals = result.goals.map(({ kind, what, isMet }) => `${isMet ? 'met' : '**not met**'}, ${kind}: ${cell(what)}`);
    return `| **${bench.name}**: ${cell(bench.summary)} | ${[...figures, ...compared.map(cell)].join('<br>')} | ${goals.join('<br>')} |`;
  });
  const notes = measured.flatMap(({ bench, result }) => result.notes.map((note) => `- ${bench.name}: ${note.replaceAll('<', '&lt;')}`));
  return [
    `${machine(nowMs)}.`,
    '',
    '| | figures | what the design asks for |',
    '|---|---|---|',
    ...rows,
    '',
    'What is compared:',
    '',
    ...notes,
  ].join('\n');
}
