/** One colour a kind of state: good, at work, look here, over. */
import type { Colours } from './output.ts';
import type { Cell } from './table.ts';

const good = ['alive', 'here', 'self', 'completed', 'received', 'yes'];
const atWork = ['running', 'waking', 'sent', 'discovered'];
const lookHere = ['suspect', 'waiting', 'deferred', 'indeterminate', 'queued', 'planned'];
const bad = ['failed', 'unreachable', 'dead', 'rejected', 'expired', 'removed', 'incompatible', 'no'];

export function paintState(colours: Colours, state: string): Cell {
  if (good.includes(state)) return { text: state, paint: colours.green };
  if (atWork.includes(state)) return { text: state, paint: colours.cyan };
  if (lookHere.includes(state)) return { text: state, paint: colours.yellow };
  if (bad.includes(state)) return { text: state, paint: colours.red };
  return { text: state, paint: colours.dim };
}
