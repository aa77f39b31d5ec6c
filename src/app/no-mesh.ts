/** The network of a node that is in no mesh. */
import type { Mesh } from '../domain/mesh-port.ts';

export const noMesh: Mesh = {
  link: () => undefined,
  links: () => [],
  peers: () => [],
  dialNow: () => Promise.resolve(undefined),
};
