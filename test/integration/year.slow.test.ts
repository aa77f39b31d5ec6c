/** A year of a mesh whose machines come and go, on a fake clock, with real certificates. */
import fc from 'fast-check';
import { expect, test, vi } from 'vitest';
import { rootsOf } from '../../src/app/node-self.ts';
import { toBrokerError } from '../../src/domain/errors.ts';
import type { CertificateChain } from '../../src/domain/trust.ts';
import { fingerprintText, lifeOf, verifyChain } from '../../src/trust/certificate.ts';
import { generateNodeKey } from '../../src/trust/node-key.ts';
import { TrustMesh, TrustNode } from '../support/trust-mesh.ts';

vi.setConfig({ testTimeout: 170_000 });

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const stepMs = 6 * hourMs;
const stepsADay = dayMs / stepMs;

/** mulberry32: the seed is all there is to a year. */
function dice(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

async function year(seed: number): Promise<void> {
  const random = dice(seed);
  const between = (from: number, to: number): number => from + Math.floor(random() * (to - from));
  await using mesh = await TrustMesh.start(['laptop', 'desktop', 'server', 'attic', 'studio'], random);
  const { nodes, clock } = mesh;
  const lost = mesh.node(random() < 0.5 ? 'laptop' : 'desktop');
  const survivor = mesh.node(lost.name === 'laptop' ? 'desktop' : 'laptop');
  const removed = mesh.node(['server', 'attic', 'studio'][between(0, 3)] ?? 'server');
  const lostOn = between(60, 250) * stepsADay;
  const isRemovedIssuer = random() < 0.7;
  const removedOn = between(30, 330) * stepsADay;
  // Days on which its owner sits at the machine with the key of the mesh: another root is made, an issuer ends, the old root ends.
  const founder = mesh.node('laptop');
  const ceased = mesh.node(['server', 'attic', 'studio'].filter((name) => name !== removed.name)[between(0, 2)] ?? 'attic');
  const plans = [
    {
      on: between(5, 25) * stepsADay,
      does: async (step: number) => {
        await founder.sides.appointing.add(ceased.name);
        if (isRemovedIssuer && step < removedOn) await founder.sides.appointing.add(removed.name);
      },
    },
    { on: between(20, 50) * stepsADay, does: () => founder.roots.renewRoot() },
    { on: between(50, 300) * stepsADay, does: () => founder.roots.removeIssuer({ node: ceased.name, compromised: false }) },
    { on: between(100, 300) * stepsADay, does: () => founder.roots.retireRoot({ force: false }) },
  ];
  let done = 0;
  /** Whether it belongs; the lost issuer does until it is lost, and nobody ever hears of that. */
  const belongs = (node: TrustNode, step: number): boolean => (node === removed ? step < removedOn : node !== lost || step < lostOn);
  const until = new Map(nodes.map((node) => [node, between(1, 15) * stepsADay]));
  const met = new Map(nodes.map((node) => [node, 0]));
  /** Steps that both it and a living issuer have been up, one after the other. */
  const together = new Map<TrustNode, number>();
  let isRemovalSaid = false;
  /** It takes no word of its own removal, and goes on, renewing others too, as if nothing had happened. */
  const isHostile = random() < 0.6;
  const boot = async (node: TrustNode): Promise<void> => {
    await node.boot();
    if (isHostile && node === removed) node.sides.removal.received = () => Promise.resolve(false);
  };
  if (isHostile) removed.sides.removal.received = () => Promise.resolve(false);

  for (let step = 1; step <= 365 * stepsADay; step += 1) {
    for (const node of nodes) {
      if (node === lost && step >= lostOn) {
        if (node.isUp) node.down();
        continue;
      }
      const isDue = step >= (until.get(node) ?? 0);
      // It is used now and then: no machine and no issuer is away for longer than what is promised.
      const isMissed = !node.isUp && step - Math.min(met.get(node) ?? 0, met.get(survivor) ?? 0) > 75 * stepsADay;
      if (!isDue && !isMissed) continue;
      if (node.isUp) {
        node.down();
        until.set(node, step + (random() < 0.7 ? between(1, 10 * stepsADay) : between(10, 70) * stepsADay));
      } else {
        await boot(node);
        until.set(node, step + (random() < 0.7 ? between(2, 15) : between(15, 90)) * stepsADay);
      }
    }
    for (const node of nodes) {
      const away = step - (met.get(node) ?? 0) > 75 * stepsADay && (node !== lost || step < lostOn);
      if (!away) continue;
      for (const each of [node, survivor]) {
        if (!each.isUp) await boot(each);
        until.set(each, Math.max(until.get(each) ?? 0, step + 2 * stepsADay));
      }
    }
    await mesh.pass(stepMs);
    const plan = plans[done];
    if (plan !== undefined && step >= plan.on && founder.isUp && mesh.isInForce(founder)) {
      // An issuer has to be up to become one, and nobody may be lost with a root: then it is said again another day.
      const said = await plan.does(step).then(() => true, (error: unknown) => (['unavailable', 'conflict'].includes(toBrokerError(error).code) ? false : Promise.reject(error)));
      if (said) done += 1;
      await mesh.settle();
    }
    if (!isRemovalSaid && step >= removedOn && survivor.isUp && mesh.isInForce(survivor) && survivor.links.size > 0) {
      await survivor.sides.removal.remove(removed.name, 'ada');
      isRemovalSaid = true;
      await mesh.settle();
    }

    for (const node of nodes) {
      const isWith = node.isUp && survivor.isUp;
      if (isWith) met.set(node, step);
      together.set(node, isWith ? (together.get(node) ?? 0) + 1 : 0);
      for (const link of node.links.values()) {
        const newest = Math.max(link.peer.notAfterMs, node.store.read.member(link.peer.nodeId)?.chain === undefined ? 0 : (link.to.own?.notAfterMs ?? 0));
        expect(newest, `day ${step / stepsADay}: ${node.name} has a session with ${link.to.name}, whose certificate has ended`).toBeGreaterThanOrEqual(clock.now() - stepMs);
        expect(node.sides.removal.isRemoved(link.peer.nodeId), `day ${step / stepsADay}: ${node.name} has a session with ${link.to.name}, which it knows to be removed`).toBe(false);
      }
      if ((together.get(node) ?? 0) < stepsADay || (node === removed && isRemovalSaid) || !belongs(node, step)) continue;
      expect(mesh.isInForce(node), `day ${step / stepsADay}: ${node.name} belongs, is up with an issuer for a day, and has a certificate`).toBe(true);
      if (node !== survivor) expect(node.links.has(survivor.nodeId), `day ${step / stepsADay}: ${node.name} belongs, and has a session with ${survivor.name}`).toBe(true);
    }
  }

  for (const node of nodes) if (!node.isUp && node !== lost) await boot(node);
  for (let step = 0; step < 5 * stepsADay; step += 1) await mesh.pass(stepMs);
  expect(isRemovalSaid).toBe(true);
  const members = nodes.filter((node) => node !== lost && node !== removed);
  for (const node of members) {
    expect([...node.links.values()].map(({ to }) => to.name).toSorted()).toEqual(members.filter((each) => each !== node).map(({ name }) => name).toSorted());
    expect((node.own?.notAfterMs ?? 0) - clock.now()).toBeGreaterThan(26 * dayMs);
    expect(node.store.read.revocation(removed.nodeId)).toBeDefined();
  }
  for (const node of members) {
    expect(node.standing.isForsaken(node.own?.certifiedBy)).toBe(false);
    const { trusted, withdrawn } = rootsOf(node.store);
    expect([trusted.length, withdrawn.length]).toEqual([[1, 1, 2, 2, 1][done], done > 2 ? 1 : 0]);
    if (done > 2) expect(node === ceased ? node.membership.issuer !== undefined : node.store.read.member(ceased.nodeId)?.isIssuer === true).toBe(false);
  }
  expect(new Set(members.map((node) => rootsOf(node.store).trusted.map(fingerprintText).toSorted().join())).size).toBe(1);
  expect(removed.links.size).toBe(0);
  if (isHostile) expect(removed.store.read.membership()).toBeDefined();
  else expect(removed.store.read.removedFrom()).toMatchObject({ meshName: 'home' });
  expect(new Set(members.map((node) => node.state.digest.root)).size).toBe(1);
}

test('a year of five machines that come and go, three issuers, one of them lost and one ended on the way, and another root: nobody drops out who belongs, nobody stays who was removed', async () => {
  await fc.assert(fc.asyncProperty(fc.integer({ min: 1, max: 2 ** 31 }), year), { numRuns: 1, endOnFailure: true });
});

test('a machine that is slow to make certificates costs the mesh of these tests none of its time', async () => {
  await using mesh = await TrustMesh.start(['laptop', 'desktop', 'server']);
  mesh.busyMs = 30;
  await mesh.pass(65 * dayMs);
  for (const node of mesh.nodes) expect((node.own?.notAfterMs ?? 0) - mesh.clock.now()).toBeGreaterThan(80 * dayMs);
});

test('issuers go on being issuers: the one with the key of the mesh renews its own certificate for that, and those of others at their word', async () => {
  await using mesh = await TrustMesh.start(['laptop', 'desktop', 'server']);
  const [laptop, desktop, server] = [mesh.node('laptop'), mesh.node('desktop'), mesh.node('server')];
  const endsIn = (node: TrustNode): number => (lifeOf(node.store.read.membership()?.issuerDer ?? new Uint8Array()).notAfterMs - mesh.clock.now()) / (365 * dayMs);
  for (let day = 0; day < 4 * 365; day += 20) await mesh.pass(20 * dayMs);
  for (const node of [laptop, desktop]) expect(endsIn(node)).toBeGreaterThan(3);
  for (let day = 0; day < 4 * 365; day += 20) await mesh.pass(20 * dayMs);
  expect(mesh.isInForce(server)).toBe(true);
  expect([...server.links.values()].map(({ to }) => to.name).toSorted()).toEqual(['desktop', 'laptop']);
});

test('a member is made an issuer where the key of the mesh is, and nowhere else; removed it is none', async () => {
  await using mesh = await TrustMesh.start(['laptop', 'desktop', 'server', 'attic']);
  const [laptop, desktop, server, attic] = [mesh.node('laptop'), mesh.node('desktop'), mesh.node('server'), mesh.node('attic')];
  for (const node of [desktop, attic]) await expect(node.sides.appointing.add('server')).rejects.toMatchObject({ code: 'denied', hint: expect.stringContaining('recovery import') });
  expect(server.membership.issuer).toBeUndefined();
  expect(await laptop.sides.appointing.add('server')).toMatchObject({ name: 'server', owner: 'ada', already: false });
  expect(server.membership.issuer).toBeDefined();
  await mesh.pass(1000);
  expect(attic.store.read.member(server.nodeId)?.isIssuer).toBe(true);

  // It does alone what issuers do.
  laptop.down();
  desktop.down();
  for (let day = 0; day < 70; day += 1) await mesh.pass(dayMs);
  expect([mesh.isInForce(attic), attic.own?.certifiedBy === server.own?.certifiedBy]).toEqual([true, true]);
  expect((attic.own?.notAfterMs ?? 0) - mesh.clock.now()).toBeGreaterThan(80 * dayMs);

  await laptop.boot();
  await mesh.pass(dayMs);
  const { letIn } = await laptop.sides.removal.remove('server', 'ada');
  expect(letIn).toContain('attic');
  await mesh.settle();
  await mesh.pass(dayMs);
  expect(server.membership.issuer).toBeUndefined();
  expect(server.links.size).toBe(0);
  for (let day = 0; day < 100; day += 1) await mesh.pass(dayMs);
  expect(mesh.isInForce(attic)).toBe(true);
  expect(attic.links.has(laptop.nodeId)).toBe(true);
});

test('a member that was away while another root came, and the first ended, comes back by its old certificate and is renewed', async () => {
  await using mesh = await TrustMesh.start(['laptop', 'desktop', 'server', 'attic']);
  const [laptop, desktop, server, attic] = [mesh.node('laptop'), mesh.node('desktop'), mesh.node('server'), mesh.node('attic')];
  const trusted = (node: TrustNode): string[] => rootsOf(node.store).trusted.map(fingerprintText);
  const [first = ''] = trusted(laptop);
  await expect(desktop.roots.renewRoot()).rejects.toMatchObject({ code: 'denied', hint: expect.stringContaining('recovery import') });
  await expect(laptop.roots.retireRoot({ force: false })).rejects.toMatchObject({ code: 'conflict', hint: expect.stringContaining('root renew') });
  attic.down();
  const { root, signedBy } = await laptop.roots.renewRoot();
  expect([signedBy, root.state, root.isKeyHere, root.issuers]).toEqual([first, 'accepted', true, 2]);
  await mesh.settle();
  for (const node of [laptop, desktop, server]) expect(trusted(node)).toEqual([first, root.fingerprint]);
  await expect(laptop.roots.renewRoot()).rejects.toMatchObject({ code: 'conflict' });

  // As it was: what is certified leads to the first root while that counts.
  await mesh.pass(65 * dayMs);
  expect([...server.links.keys()].length).toBe(2);
  await server.boot();
  expect(trusted(server)).toEqual([first, root.fingerprint]);

  expect(await laptop.roots.retireRoot({ force: false })).toMatchObject({ kept: root.fingerprint, retired: [first], lost: [] });
  await mesh.settle();
  for (const node of [laptop, desktop, server]) expect(trusted(node)).toEqual([root.fingerprint]);
  expect(await desktop.roots.roots()).toMatchObject([{ fingerprint: first, state: 'retired' }, { fingerprint: root.fingerprint, state: 'in_use', signedBy: first, isKeyHere: false, issuers: 2 }]);
  await mesh.pass(dayMs);
  expect([...server.links.values()].map(({ to }) => to.name).toSorted()).toEqual(['desktop', 'laptop']);

  // Its certificate has ended since, too.
  await mesh.pass(60 * dayMs);
  expect(mesh.isInForce(attic)).toBe(false);
  await attic.boot();
  expect(trusted(attic)).toEqual([first]);
  for (let step = 0; step < 4; step += 1) await mesh.pass(stepMs);
  expect([mesh.isInForce(attic), trusted(attic)]).toEqual([true, [root.fingerprint]]);
  expect([...attic.links.values()].map(({ to }) => to.name).toSorted()).toEqual(['desktop', 'laptop', 'server']);

  // The new key does what the first one's did.
  expect(await laptop.sides.appointing.add('server')).toMatchObject({ name: 'server' });
  await mesh.pass(stepMs);
  for (const node of [laptop, desktop]) node.down();
  await mesh.pass(65 * dayMs);
  expect([mesh.isInForce(attic), attic.own?.certifiedBy === server.own?.certifiedBy]).toEqual([true, true]);
});

test('an issuer ends: those that it certified stay, are renewed by others at once, and it lets nobody in; its key never comes back', async () => {
  await using mesh = await TrustMesh.start(['laptop', 'desktop', 'server', 'attic']);
  const [laptop, desktop, server, attic] = [mesh.node('laptop'), mesh.node('desktop'), mesh.node('server'), mesh.node('attic')];
  await expect(desktop.roots.removeIssuer({ node: 'laptop', compromised: false })).rejects.toMatchObject({ code: 'denied' });
  laptop.down();
  // The desktop renews them all.
  await mesh.pass(65 * dayMs);
  await mesh.pass(dayMs);
  const by = desktop.own?.certifiedBy ?? '';
  for (const node of [server, attic]) expect(node.own?.certifiedBy).toBe(by);
  const ended = desktop.store.read.membership()?.issuerDer ?? new Uint8Array();

  // It hears of it late; until then it goes on, and nobody is thrown out for that.
  mesh.mayMeet = (a, b) => (a === laptop) === (b === laptop);
  await laptop.boot();
  mesh.mayMeet = (a, b) => ![a, b].includes(desktop) || [a, b].includes(attic);
  await mesh.pass(60_000);
  expect(await laptop.roots.removeIssuer({ node: 'desktop', compromised: false })).toMatchObject({ name: 'desktop', already: false, renewedByOthers: ['attic', 'desktop', 'server'].filter((name) => laptop.store.read.member(mesh.node(name).nodeId) !== undefined) });
  await mesh.settle();
  await mesh.pass(60_000);
  expect(server.own?.certifiedBy).not.toBe(by);
  expect(server.links.has(laptop.nodeId)).toBe(true);

  mesh.mayMeet = () => true;
  for (let count = 0; count < 3; count += 1) await mesh.pass(60_000);
  for (const node of mesh.nodes) {
    expect([node.name, node.own?.certifiedBy === by, node.links.size]).toEqual([node.name, false, 3]);
    expect(node.standing.isForsaken(by)).toBe(true);
  }
  expect(desktop.membership.issuer).toBeUndefined();
  expect(laptop.store.read.member(desktop.nodeId)?.isIssuer).not.toBe(true);
  expect(await laptop.roots.removeIssuer({ node: 'desktop', compromised: false })).toMatchObject({ already: true });
  await expect(laptop.roots.removeIssuer({ node: 'laptop', compromised: false })).rejects.toMatchObject({ code: 'conflict', hint: expect.stringContaining('issuer add') });

  // Made one again, it is so by another key.
  expect(await laptop.sides.appointing.add('desktop')).toMatchObject({ already: false });
  expect(Buffer.from(desktop.store.read.membership()?.issuerDer ?? []).equals(ended)).toBe(false);
  expect(desktop.membership.issuer?.certificate).toBeDefined();
  await mesh.pass(60_000);
  for (const node of [laptop, server, attic]) expect(node.store.read.member(desktop.nodeId)?.isIssuer).toBe(true);
});

test('the key of an issuer is in other hands: what it signed counts for those that were known, and for nobody else', async () => {
  await using mesh = await TrustMesh.start(['laptop', 'desktop', 'server', 'attic', 'guest']);
  const [laptop, desktop, server, attic, guest] = [mesh.node('laptop'), mesh.node('desktop'), mesh.node('server'), mesh.node('attic'), mesh.node('guest')];
  laptop.down();
  await mesh.pass(65 * dayMs);
  await mesh.pass(dayMs);
  await laptop.boot();
  await mesh.pass(60_000);
  // What its thief does meanwhile.
  const thief = desktop.membership.issuer;
  if (thief === undefined) throw new Error('the desktop is an issuer');
  const stranger = generateNodeKey();
  const own = await thief.issue({ publicKey: stranger.publicKey, name: 'stranger', owner: 'ada' }, mesh.clock.now() - 30 * dayMs);
  const other = await thief.issue({ publicKey: attic.key.publicKey, name: 'attic', owner: 'mallory' }, mesh.clock.now());
  for (const node of [server, attic]) node.down();
  expect(await laptop.roots.removeIssuer({ node: 'desktop', compromised: true })).toMatchObject({ already: false });
  await mesh.settle();
  const judge = (node: TrustNode, chain: CertificateChain) => () => node.standing.member(verifyChain(chain, rootsOf(node.store), mesh.clock.now()));
  for (const chain of [own, other]) expect(judge(guest, chain)).toThrow('lets nobody in any more by the word of ada on laptop');
  for (const node of [server, attic]) await node.boot();
  for (let count = 0; count < 3; count += 1) await mesh.pass(60_000);
  for (const node of [laptop, server, attic, guest]) expect([node.name, node.links.size, node.standing.isForsaken(node.own?.certifiedBy)]).toEqual([node.name, 4, false]);
});

test('where nobody ever brings the word of its removal a machine is out when its certificate ends, and not a day later', async () => {
  await using mesh = await TrustMesh.start(['laptop', 'desktop', 'server', 'attic']);
  const [laptop, server, attic] = [mesh.node('laptop'), mesh.node('server'), mesh.node('attic')];
  const isAway = (node: TrustNode): boolean => node === server || node === attic;
  mesh.mayMeet = (a, b) => isAway(a) === isAway(b);
  await mesh.pass(60_000);
  expect(await laptop.sides.removal.remove('server', 'ada')).toMatchObject({ already: false });
  const endMs = server.own?.notAfterMs ?? 0;
  for (; mesh.clock.now() + stepMs < endMs; await mesh.pass(stepMs)) expect(attic.links.has(server.nodeId)).toBe(true);
  await mesh.pass(dayMs);
  expect([attic.links.size, server.links.size]).toEqual([0, 0]);
  mesh.mayMeet = () => true;
  await mesh.pass(60_000);
  expect([attic.links.has(laptop.nodeId), attic.links.has(server.nodeId), attic.sides.removal.isRemoved(server.nodeId)]).toEqual([true, false, true]);
});

test('whom a stolen issuer let in is named when that is removed, also when an honest one has renewed it since', async () => {
  await using mesh = await TrustMesh.start(['laptop', 'desktop', 'server']);
  const [laptop, desktop] = [mesh.node('laptop'), mesh.node('desktop')];
  const stranger = new TrustNode(mesh, 'stranger');
  mesh.nodes.push(stranger);
  await stranger.boot();
  await stranger.join(desktop);
  await mesh.pass(60_000);
  desktop.down();
  await mesh.pass(65 * dayMs);
  await mesh.pass(dayMs);
  expect(stranger.own?.certifiedBy).toBe(laptop.own?.certifiedBy);
  const { letIn } = await laptop.sides.removal.remove('desktop', 'ada');
  expect(letIn).toEqual(['stranger']);
});
