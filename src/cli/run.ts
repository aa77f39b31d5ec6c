/** One run of the command line: argv in, exit code out. */
import { CommanderError } from 'commander';
import { BrokerError, internal } from '../domain/errors.ts';
import { exitInternal, exitOfError, exitOk } from './exit.ts';
import type { Host } from './host.ts';
import { Output, ReaderGone } from './output.ts';
import { buildProgram } from './program.ts';
import { errorDocument } from './json.ts';
import { usageError } from './usage.ts';

/** Never throws: whatever goes wrong becomes one clear line, or one JSON document, and a code of the table. */
export async function runCli(argv: readonly string[], host: Host): Promise<number> {
  const { words, behindDashes } = splitAtDashes(argv);
  const isJson = upToDashes(words).includes('--json');
  const out = new Output(host, isJson);
  try {
    let code = exitOk;
    const program = buildProgram({ host, out, behindDashes }, (ended) => {
      code = ended;
    });
    // Bare `beckon` is a question, not a mistake.
    if (words.length === 0) program.outputHelp();
    else await program.parseAsync(words, { from: 'user' });
    return code;
  } catch (thrown) {
    if (thrown instanceof ReaderGone) return exitOk;
    if (thrown instanceof CommanderError && thrown.exitCode === 0) return exitOk;
    return await report(out, thrown instanceof CommanderError ? usageError(thrown) : asBrokerError(thrown, out));
  }
}

async function report(out: Output, error: BrokerError): Promise<number> {
  try {
    if (out.isJson) await out.event('error', { error: errorDocument(error) });
    else out.error(error);
  } catch (thrown) {
    if (!(thrown instanceof ReaderGone)) return exitInternal;
  }
  return exitOfError(error.code);
}

/** A defect of this program shows as `internal` with its own words but without its stack. */
function asBrokerError(thrown: unknown, out: Output): BrokerError {
  if (thrown instanceof BrokerError) return thrown;
  const why = thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : String(thrown);
  out.readerGone.throwIfAborted();
  return internal(`beckon itself failed: ${why.split('\n', 1)[0] ?? ''}`, thrown);
}

/** `agent add … -- CMD…`: the command is nobody's argument, whether or not a name stands before it. */
function splitAtDashes(argv: readonly string[]): { words: readonly string[]; behindDashes: readonly string[] } {
  const at = argv.indexOf('--');
  if (at < 0) return { words: argv, behindDashes: [] };
  const [first, second] = argv.slice(0, at).filter((word) => !word.startsWith('-'));
  if (first !== 'agent' || second !== 'add') return { words: argv, behindDashes: [] };
  return { words: argv.slice(0, at), behindDashes: argv.slice(at + 1) };
}

function upToDashes(words: readonly string[]): readonly string[] {
  const at = words.indexOf('--');
  return at < 0 ? words : words.slice(0, at);
}
