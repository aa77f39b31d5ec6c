import { expect, test } from 'vitest';
import { chooseMesh, describeMesh, groupByMesh } from '../../../src/app/mesh-choice.ts';
import type { FoundIssuer } from '../../../src/app/mesh-choice.ts';

const issuer = (meshId: string, machine: string, isAdmissible: boolean, meshName = `${meshId}-name`): FoundIssuer & { readonly meshName: string } => ({
  known: { address: { host: '100.64.0.1', port: 7423 }, meshId: meshId as never, root: new Uint8Array(), roots: undefined as never, nodeId: machine as never },
  machine: { id: machine, name: machine, user: 'ann', tags: [], addresses: [], isExpired: false, isShared: false, isRouter: false, capabilities: new Map() },
  isAdmissible,
  why: '',
  meshName,
});

test('exactly one that would let this machine in is entered, however many others would not', () => {
  expect(chooseMesh(groupByMesh([]))).toEqual({ kind: 'none' });
  expect(chooseMesh(groupByMesh([issuer('a', 'laptop', true)]))).toMatchObject({ kind: 'one', mesh: { meshId: 'a', isAdmissible: true } });
  expect(chooseMesh(groupByMesh([issuer('a', 'laptop', true), issuer('b', 'server', false)]))).toMatchObject({ kind: 'one', mesh: { meshId: 'a' } });
});

test('the only one there is gets an application; of several a person chooses', () => {
  expect(chooseMesh(groupByMesh([issuer('a', 'laptop', false)]))).toMatchObject({ kind: 'one', mesh: { isAdmissible: false } });
  expect(chooseMesh(groupByMesh([issuer('a', 'laptop', false), issuer('b', 'server', false)]))).toMatchObject({ kind: 'several' });
  expect(chooseMesh(groupByMesh([issuer('a', 'laptop', true), issuer('b', 'server', true), issuer('c', 'x', false)]))).toMatchObject({ kind: 'several', meshes: [{ meshId: 'a' }, { meshId: 'b' }] });
});

test('two issuers of one mesh are one mesh', () => {
  const [mesh, ...others] = groupByMesh([issuer('a', 'laptop', false, ''), issuer('a', 'desktop', true, 'home')]);
  expect(others).toEqual([]);
  expect(mesh).toMatchObject({ name: 'home', isAdmissible: true });
  expect(mesh && describeMesh(mesh)).toBe('home (on laptop of ann and desktop of ann)');
});
