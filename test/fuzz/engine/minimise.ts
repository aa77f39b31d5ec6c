/** The smallest input that one finds by taking away: halves first, then ever smaller pieces, then bytes made plain. After "Delta Debugging", Zeller and Hildebrandt (2002). */
export async function minimised(input: Uint8Array, isFind: (candidate: Uint8Array) => Promise<boolean>, mostTries: number): Promise<Uint8Array> {
  let best = input;
  let tries = 0;
  const attempt = async (candidate: Uint8Array): Promise<boolean> => {
    tries += 1;
    if (tries > mostTries || !(await isFind(candidate))) return false;
    best = candidate;
    return true;
  };
  for (let size = Math.ceil(best.length / 2); size >= 1 && tries < mostTries; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = 0; at < best.length && tries < mostTries; ) {
      const without = Buffer.concat([best.subarray(0, at), best.subarray(at + size)]);
      if (!(await attempt(without))) at += size;
    }
  }
  for (const plain of [0x00, 0x61]) {
    for (let at = 0; at < best.length && tries < mostTries; at += 1) {
      if (best[at] === 0x61 || best[at] === 0) continue;
      const candidate = Uint8Array.from(best);
      candidate[at] = plain;
      await attempt(candidate);
    }
  }
  return best;
}
