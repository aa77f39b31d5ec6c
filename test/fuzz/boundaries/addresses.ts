/** What people, nodes and files write to say where and what: addresses, names, ids, seeds, parties of a share. */
import { multiaddr } from '@multiformats/multiaddr';
import { readEndpoint } from '../../../src/app/collector-address.ts';
import { readSeeds } from '../../../src/discovery/seeds.ts';
import { formatAddress, nameFrom, onNode, parseAddress, parseName, parseNodeRef, parseWorkspace, shellAddress } from '../../../src/domain/address.ts';
import { agentFilter } from '../../../src/domain/agent-filter.ts';
import type { Candidate } from '../../../src/domain/candidate.ts';
import { flawOfRule } from '../../../src/domain/admit-rule.ts';
import { formatHostPort, meshPort, parseHostPort } from '../../../src/domain/host-port.ts';
import { asMeshId, asNodeId, isNodeId, nodeIdOfPublicKey, parseIdArgument, publicKeyOfNodeId } from '../../../src/domain/ids.ts';
import { partyOf } from '../../../src/domain/sharing.ts';
import { decodeWorkspace, encodeWorkspace } from '../../../src/domain/workspace.ts';
import { hostPortOf, multiaddrText } from '../../../src/gossip/addresses.ts';
import { holds } from '../engine/boundary.ts';
import type { Boundary } from '../engine/boundary.ts';
import { readersOf } from './readers.ts';

const nodeId = nodeIdOfPublicKey(new Uint8Array(32).fill(7));
const printable = (text: string): boolean => !/[^\P{C}]/u.test(text);
const agent: Candidate = { agent: 'fabric', address: '@fabric@laptop#main', nodeName: 'laptop', nodeId, nodeState: 'alive', harness: 'command', owner: 'ada', available: true, capabilities: [], labels: {} } as unknown as Candidate;

const readers = readersOf({
  address: (text) => {
    const address = parseAddress(text);
    const canonical = formatAddress(address);
    holds(JSON.stringify(parseAddress(canonical)) === JSON.stringify(address), 'an address is read from its canonical form as it was');
    holds(JSON.stringify(parseAddress(shellAddress(address))) === JSON.stringify(address), 'an address is read from its shell form as it was');
    holds(/^[!-~]+$/.test(canonical), 'an address is printable ASCII');
    onNode(text, 'studio');
  },
  name: (text) => holds(parseName(parseName(text)) === parseName(text) && /^[a-z0-9]([a-z0-9._-]{0,38}[a-z0-9])?$/.test(parseName(text)), 'a name is as the grammar has it'),
  guess: (text) => {
    const name = nameFrom(text);
    holds(name === undefined || parseName(name) === name, 'a name that is proposed is one');
  },
  workspace: (text) => {
    const workspace = parseWorkspace(text);
    holds(parseWorkspace(workspace) === workspace, 'a workspace is read from its canonical form as it was');
    holds(encodeWorkspace(decodeWorkspace(workspace)) === workspace, 'a workspace goes there and back');
  },
  branch: (text) => holds(decodeWorkspace(encodeWorkspace(text)) === text.toWellFormed(), 'a branch is what its workspace stands for'),
  node: (text) => void parseNodeRef(text),
  id: (text) => void parseIdArgument(text),
  nodeId: (text) => {
    const id = asNodeId(text);
    holds(isNodeId(id) && nodeIdOfPublicKey(publicKeyOfNodeId(id)) === id, 'a node id is its key and nothing else');
  },
  meshId: (text) => void asMeshId(text),
  hostPort: (text) => {
    const place = parseHostPort(text, meshPort);
    const again = parseHostPort(formatHostPort(place));
    holds(again.host === place.host && again.port === place.port, 'host:port goes there and back');
    holds(printable(place.host), 'a host can be shown');
    const written = multiaddrText(place);
    if (written === undefined) return;
    const read = hostPortOf(multiaddr(written).getComponents());
    holds(read?.port === place.port, 'a multiaddr has the port that it was made of');
  },
  multiaddr: (text) => {
    // Those of libp2p's own neighbours: what the library refuses is its refusal.
    try {
      hostPortOf(multiaddr(text).getComponents());
    } catch (error) {
      if (error instanceof RangeError) throw error;
      return false;
    }
    return true;
  },
  seeds: (text) => void readSeeds(text.split(',')),
  party: (text) => void partyOf(text, [{ with: 'person', name: 'bob' }, { with: 'node', name: 'studio', nodeId }, { with: 'person', name: 'studio' }]),
  pattern: (text) => void agentFilter({ pattern: text })(agent),
  endpoint: (text) => holds(/^https?:\/\//.test(readEndpoint(text)), 'a collector is a web address'),
  rule: (text) => flawOfRule({ kind: (['node', 'user', 'tag', 'capability'] as const)[text.length % 4] ?? 'node', value: text }) === undefined,
});

export const addresses: Boundary = {
  name: 'addresses',
  what: 'addresses, names, ids, host:port, multiaddrs, seeds, parties, patterns',
  seeds: () => ({
    'an address': readers.input('address', '@fabric@laptop#feature-x'),
    'an address for a shell': readers.input('address', 'fabric@laptop/fix%2Flogin%20%C3%A9'),
    'an address by node id': readers.input('address', `@fabric@${nodeId}#main`),
    'a name': readers.input('name', 'Fabric-2'),
    'a guess': readers.input('guess', 'Ann’s MacBook Pro.local'),
    'a workspace': readers.input('workspace', 'feature/%F0%9F%8C%8D-x'),
    'a branch': readers.input('branch', 'feature/ümlaut #7'),
    'a node': readers.input('node', nodeId),
    'an id': readers.input('id', 'inv_01J9Z6M3T4V8Q2X7K5B1C0D9EF'),
    'a suffix': readers.input('id', 'd9ef'),
    'a node id': readers.input('nodeId', nodeId),
    'a mesh id': readers.input('meshId', 'abcdefghijklmnopqrstuvwxyz'),
    'an IPv4 place': readers.input('hostPort', '100.64.0.1:7423'),
    'an IPv6 place': readers.input('hostPort', '[fd7a:115c:a1e0::1%eth0]:7423'),
    'a DNS place': readers.input('hostPort', 'laptop.tail1234.ts.net'),
    'a multiaddr': readers.input('multiaddr', '/ip4/100.64.0.1/tcp/7424/p2p/12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA'),
    'a dns multiaddr': readers.input('multiaddr', '/dns4/laptop/tcp/7424/tls/sni/laptop/ws'),
    seeds: readers.input('seeds', '10.0.0.1, laptop:7423,[::1]:1'),
    'a party': readers.input('party', 'node:studio'),
    'a pattern': readers.input('pattern', '@f*c@l?ptop#*'),
    'an endpoint': readers.input('endpoint', 'http://127.0.0.1:4318/v1/traces'),
    'a rule': readers.input('rule', 'tag:server'),
  }),
  words: ['@', '#', '/', '%2F', 'k51', 'inv_', 'flt_', 'last', 'person:', 'node:', '/ip6/', '/ip6zone/', '/tcp/', '/unix/', '/p2p/', '*', '[::1]', 'xn--', '.', '..', 'localhost', ':0', ':65536', 'http://', 'tag:', 'İ', 'ſ', '\u212a', 'ﬁ'],
  longest: 2048,
  open: () => ({ run: (input) => readers.run(input) }),
};
