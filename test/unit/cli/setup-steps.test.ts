import { expect, test } from 'vitest';
import type { NodeStatus } from '../../../src/client/types.ts';
import { asMeshId } from '../../../src/domain/ids.ts';
import type { NodeId } from '../../../src/domain/ids.ts';
import type { Survey } from '../../../src/cli/host.ts';
import { stepsOf, waysOf } from '../../../src/cli/setup-steps.ts';

const fresh: Survey = { suggestedName: 'laptop', remembered: {}, addresses: [{ host: '192.168.1.5', name: 'eth0' }, { host: 'fd00::5', name: 'eth0' }] };
const tailnet = { addresses: ['100.64.0.1', 'fd7a::1'], name: 'ann.ts.net' };
const running: NodeStatus = { nodeId: 'k51' as NodeId, name: 'laptop', owner: 'ann', epoch: 1, version: '1.0.0', peers: {}, flights: {}, pid: 1, listen: ['127.0.0.1:7423'], draining: false };

test('the tailnet is offered first and followed wherever it goes; other networks by their address', () => {
  expect(waysOf({ ...fresh, tailnet }).map(({ flags }) => flags)).toEqual([[], ['--listen=192.168.1.5:7423'], ['--listen=[fd00::5]:7423']]);
  expect(waysOf({ ...fresh, tailnet })[0]?.question).toBe('May machines of your tailnet ann.ts.net reach this node, at 100.64.0.1 and fd7a::1, ports 7423 and 7424, and may it enter the mesh of your machines there by itself, when it finds exactly one?');
  expect(waysOf({ ...fresh, addresses: [] })).toEqual([]);
});

test('on a new machine all is to do, and the command that is shown opens nothing to others', () => {
  const steps = stepsOf({ ...fresh, tailnet }, undefined);
  expect(steps.map(({ id, isDone }) => [id, isDone])).toEqual([['name', false], ['reach', false], ['start', false], ['mesh', false]]);
  expect(steps[2]?.command).toBe('beckon up --detach --name laptop --listen 127.0.0.1:7423 --tailscale off');
  expect(stepsOf(fresh, undefined)[2]?.command).toBe('beckon up --detach --name laptop --listen 127.0.0.1:7423');
});

test('what an earlier start was given is done, and not given again', () => {
  const steps = stepsOf({ ...fresh, remembered: { name: 'desk', listen: ['10.0.0.1:7423'] } }, undefined);
  expect(steps.map(({ isDone }) => isDone)).toEqual([true, true, false, false]);
  expect(steps[2]?.command).toBe('beckon up --detach');
  expect(steps[1]?.detail).toBe('it listens at 10.0.0.1:7423');
});

test('with a node that runs only the mesh is to do, and with that nothing', () => {
  expect(stepsOf(fresh, running).map(({ isDone }) => isDone)).toEqual([true, true, true, false]);
  expect(stepsOf(fresh, { ...running, mesh: { id: asMeshId('m'), name: 'home' } }).every(({ isDone }) => isDone)).toBe(true);
});
