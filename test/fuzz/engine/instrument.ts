/**
 * Source with a counter at each place where it branches: what libFuzzer's edge counters are for C, in JavaScript that runs at
 * full speed. The inspector's precise coverage has the same figures and takes milliseconds to ask, for each input.
 */
import { parseAst } from 'rolldown/parseAst';

export interface Instrumented {
  readonly code: string;
  /** Counters used. */
  readonly counters: number;
  /** Short texts that stand in the code: what it compares its input with is among them. */
  readonly words: readonly string[];
}

interface Node {
  readonly type: string;
  readonly start: number;
  readonly end: number;
  readonly [key: string]: unknown;
}

const longestWord = 40;

/** @param source JavaScript of a module @param first the first counter that is free @param table a global with the counters */
export function instrument(source: string, first: number, table: string): Instrumented {
  const edits: { readonly at: number; readonly text: string; readonly isEnd: boolean }[] = [];
  const words = new Set<string>();
  let next = first;
  const count = (): string => `${table}[${next++}]++`;
  const block = ({ start }: Node): void => void edits.push({ at: start + 1, text: `${count()};`, isEnd: false });
  const wrap = ({ start, end }: Node, [open, close]: readonly [string, string]): void => {
    edits.push({ at: start, text: open, isEnd: false }, { at: end, text: close, isEnd: true });
  };
  const statement = (node: unknown): void => {
    if (!isNode(node)) return;
    if (node.type === 'BlockStatement') block(node);
    // `else if` has a branch of its own further in.
    else if (node.type !== 'IfStatement') wrap(node, [`{${count()};`, '}']);
  };
  const expression = (node: unknown): void => {
    if (isNode(node)) wrap(node, [`(${count()},`, ')']);
  };
  const visit = (node: Node): void => {
    switch (node.type) {
      case 'FunctionDeclaration':
      case 'FunctionExpression':
      case 'ArrowFunctionExpression':
        if (isNode(node['body'])) (node['body'].type === 'BlockStatement' ? block : expression)(node['body']);
        break;
      case 'IfStatement':
        // That a check was passed is worth as much as that it was not. First, since of ends at one place the first comes last.
        if (node['alternate'] === null) edits.push({ at: node.end, text: `else{${count()};}`, isEnd: true });
        statement(node['consequent']);
        statement(node['alternate']);
        break;
      case 'ForStatement':
      case 'ForOfStatement':
      case 'ForInStatement':
      case 'WhileStatement':
      case 'DoWhileStatement':
        statement(node['body']);
        break;
      case 'CatchClause':
        if (isNode(node['body'])) block(node['body']);
        break;
      case 'ConditionalExpression':
        expression(node['consequent']);
        expression(node['alternate']);
        break;
      case 'LogicalExpression':
        expression(node['right']);
        break;
      case 'SwitchCase': {
        const [begin] = node['consequent'] as readonly Node[];
        if (begin !== undefined) edits.push({ at: begin.start, text: `${count()};`, isEnd: false });
        break;
      }
      case 'Literal':
        if (typeof node['value'] === 'string' && node['value'] !== '' && node['value'].length <= longestWord) words.add(node['value']);
        break;
      default:
    }
    for (const value of Object.values(node)) for (const child of Array.isArray(value) ? value : [value]) if (isNode(child)) visit(child);
  };
  visit(parseAst(source) as unknown as Node);
  return { code: edited(source, edits), counters: next - first, words: [...words] };
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && 'type' in value && typeof value.type === 'string' && 'start' in value;
}

/** Ends go before what begins at the same place, the inner one first; of what begins there the outer one, which was visited first, comes first. */
function edited(source: string, edits: readonly { readonly at: number; readonly text: string; readonly isEnd: boolean }[]): string {
  const ordered = edits.map((edit, index) => ({ ...edit, index })).toSorted((a, b) => a.at - b.at || Number(b.isEnd) - Number(a.isEnd) || (a.isEnd ? b.index - a.index : a.index - b.index));
  const parts: string[] = [];
  let from = 0;
  for (const { at, text } of ordered) {
    parts.push(source.slice(from, at), text);
    from = at;
  }
  return parts.join('') + source.slice(from);
}
