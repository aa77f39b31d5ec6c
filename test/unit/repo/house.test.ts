import { describe, expect, test } from 'vitest';
import { code, imports, paths, text } from './source.ts';

const tree = paths();
const written = tree.filter((path) => !path.startsWith('src/gen/') && !/(^|\/)package-lock\.json$/.test(path));
const typescript = written.filter((path) => path.endsWith('.ts'));
const src = typescript.filter((path) => path.startsWith('src/'));

/** `path:line: what` for each match outside comments and strings. */
function hits(files: string[], pattern: RegExp): string[] {
  return files.flatMap((path) =>
    code(text(path), 'blank')
      .split('\n')
      .flatMap((line, index) => (pattern.test(line) ? [`${path}:${index + 1}: ${line.trim()}`] : [])),
  );
}

const except = (...allowed: RegExp[]): string[] => src.filter((path) => !allowed.some((each) => each.test(path)));
const system = /^src\/app\/system-[a-z0-9-]+\.ts$/;
const main = /^src\/main\.ts$/;
/** A program that uses the SDK has its own main, and calls `connect()` as it is: so the SDK finds the node, and the time, by itself. */
const surroundings = /^src\/client\/system-surroundings\.ts$/;
/** No port reaches the writer's thread. */
const stopwatch = /^src\/store\/system-stopwatch\.ts$/;

describe('what lint can not say, or should not be the only one to say', () => {
  test('time and timers come in as ports', () => {
    expect(hits(except(system, surroundings, stopwatch), /\bDate\.now\b|\bnew Date\(\s*\)|\bDate\(\)|\bperformance\.now\b|\bprocess\.hrtime\b/)).toEqual([]);
    expect(hits(except(system, surroundings), /(?<![.#\w])(setTimeout|setInterval)\b|\bAbortSignal\.timeout\b|globalThis\.set/)).toEqual([]);
  });

  test('randomness comes in as a port', () => {
    expect(hits(except(system, surroundings), /\bMath\.random\b/)).toEqual([]);
  });

  test('only main.ts reads or ends the process', () => {
    expect(hits(except(main, surroundings), /\bprocess\s*\.\s*(env|argv|exit|exitCode|abort)\b|\bprocess\[|\{[^}]*\}\s*=\s*process\b/)).toEqual([]);
    const named = except(main, surroundings).filter((path) => /from ['"](node:)?process['"]/.test(code(text(path), 'keep')));
    expect(named).toEqual([]);
  });

  test('nothing imports node:http but its types: a module that does loads the whole web client of Node, 12 MB a node', () => {
    expect(src.filter((path) => /^import (?!type )[^;]*from '(node:)?https?'/m.test(code(text(path), 'keep')))).toEqual([]);
  });

  test('no error is swallowed', () => {
    const swallowed = typescript.filter((path) =>
      /catch\s*(\([^)]*\))?\s*\{\s*\}|\.catch\(\s*(\([^)]*\)|\w+)\s*=>\s*(\{\s*\}|undefined|null|void 0)\s*,?\s*\)/.test(code(text(path), 'blank')),
    );
    expect(swallowed).toEqual([]);
  });

  test('nothing is left for later in the text', () => {
    const marker = new RegExp(`\\b(${['TO' + 'DO', 'FIX' + 'ME', 'X' + 'XX', 'HA' + 'CK'].join('|')})\\b`);
    expect(written.filter((path) => marker.test(text(path)))).toEqual([]);
  });

  test('no test is left out or alone by accident', () => {
    const tests = typescript.filter((path) => path.endsWith('.test.ts'));
    expect(hits(tests, /\b(test|it|describe)\.(only|todo)\b/)).toEqual([]);
  });

  test('no file that a person wrote is over 400 lines', () => {
    const lines = (path: string): number => text(path).replace(/\n$/, '').split('\n').length;
    const counted = written.filter((path) => /\.(ts|js|mjs|sh|proto|sql|json)$|^scripts\/|^\.ci\//.test(path));
    expect(counted.filter((path) => lines(path) > 400)).toEqual([]);
  });

  test('files are kebab-case nouns without Service, Manager, Helper, Utils', () => {
    const names = src.map((path) => path.slice(path.lastIndexOf('/') + 1));
    expect(names.filter((name) => !/^[a-z0-9]+(-[a-z0-9]+)*(\.d)?\.ts$/.test(name))).toEqual([]);
    expect(names.filter((name) => /\b(service|manager|helpers?|utils?)\b/.test(name))).toEqual([]);
  });
});

describe('who may import whom', () => {
  /** Per folder of src: the other folders it may import, those it may import types of, and the libraries it wraps. */
  const rules: Record<string, { folders: string[]; types?: string[]; libraries?: RegExp; node?: false }> = {
    domain: { folders: [], libraries: /^fastest-levenshtein$/, node: false },
    broker: { folders: ['domain'], node: false },
    store: { folders: ['domain', 'gen'], libraries: /^better-sqlite3$/ },
    mesh: { folders: ['domain', 'gen', 'rpc'], libraries: /^@grpc\/grpc-js$/ },
    gossip: { folders: ['domain', 'gen', 'rpc'], libraries: /^(libp2p$|@libp2p\/|@chainsafe\/|@multiformats\/multiaddr$)/ },
    discovery: { folders: ['domain', 'gen'], libraries: /^zod$/ },
    trust: { folders: ['domain', 'gen'], libraries: /^(@peculiar\/x509$|reflect-metadata$|@libp2p\/|multiformats|zod$)/ },
    metrics: { folders: ['domain'] },
    supervisor: { folders: ['domain'] },
    telemetry: { folders: ['domain'], libraries: /^@opentelemetry\// },
    harness: { folders: ['domain', 'gen'], libraries: /^(@agentclientprotocol\/sdk|diff|zod)$/ },
    control: { folders: ['domain', 'gen', 'rpc'], types: ['broker'], libraries: /^@grpc\/grpc-js$/ },
    rpc: { folders: ['domain', 'gen'], libraries: /^(@grpc\/grpc-js|@bufbuild\/protobuf)(\/|$)/ },
    client: { folders: ['domain', 'gen', 'rpc'], types: ['broker'], libraries: /^(@grpc\/grpc-js|@opentelemetry\/api)$/ },
    cli: { folders: ['client', 'domain'], libraries: /^(commander|picocolors)$/ },
    app: {
      folders: ['broker', 'client', 'control', 'discovery', 'domain', 'gen', 'gossip', 'harness', 'mesh', 'metrics', 'rpc', 'store', 'supervisor', 'telemetry', 'trust'],
      libraries: /./,
    },
  };
  const folderOf = (path: string): string => path.split('/')[1] ?? '';

  test('each folder of src has a rule', () => {
    const folders = new Set(src.filter((path) => path.split('/').length > 2).map(folderOf));
    expect([...folders].filter((folder) => !(folder in rules))).toEqual([]);
  });

  test.each(Object.keys(rules))('src/%s imports only what it may', (folder) => {
    const { folders, types = [], libraries, node } = rules[folder] ?? { folders: [] };
    const wrong = src
      .filter((path) => path.startsWith(`src/${folder}/`))
      .flatMap((path) =>
        imports(path)
          .filter(({ specifier, path: target, typeOnly }) => {
            if (target === undefined) {
              return specifier.startsWith('node:') ? node === false : libraries?.test(specifier) !== true;
            }
            const to = folderOf(target);
            return !(target.startsWith(`src/${folder}/`) || folders.includes(to) || (typeOnly && types.includes(to)));
          })
          .map(({ specifier }) => `${path} imports ${specifier}`),
      );
    expect(wrong).toEqual([]);
  });

  test('the sources import no test, script or build output', () => {
    const outside = src.flatMap((path) =>
      imports(path).filter(({ path: target }) => target !== undefined && !/^(src\/|package\.json$)/.test(target)),
    );
    expect(outside).toEqual([]);
  });
});
