/** Readers with a defect of each kind, and none besides: what the fuzzer has to find in few inputs, or its silence elsewhere says nothing. */
import { BrokerError, invalid } from '../../../src/domain/errors.ts';
import type { Boundary, Target, Verdict } from '../engine/boundary.ts';

const words = ['beckon', 'key=', '<7'];

/** Reads `beckon key=VALUE`; what `inner` does is behind four comparisons, which chance alone does not pass. */
function reader(inner: (value: string) => void): (input: Uint8Array) => Verdict {
  return (input) => {
    const text = Buffer.from(input).toString('latin1');
    try {
      if (!text.startsWith('beckon')) throw invalid('it does not begin as it should');
      const at = text.indexOf('key=');
      if (at < 0) throw invalid('it has no key');
      const value = text.slice(at + 4);
      if (!value.startsWith('<')) throw invalid('the value has no beginning');
      if (value.charAt(1) === '7') inner(value);
      return 'accepted';
    } catch (error) {
      if (error instanceof BrokerError) return 'refused';
      throw error;
    }
  };
}

function planted(name: string, open: () => Target): Boundary {
  return { name, what: 'a defect on purpose', seeds: () => ({ nothing: Buffer.from('x') }), words, open };
}

export const planters: Readonly<Record<string, Boundary>> = {
  'planted-crash': planted('planted-crash', () => ({
    run: reader((value) => {
      if (value.length > 3) throw new TypeError('x is not a function');
    }),
  })),
  'planted-rejection': planted('planted-rejection', () => ({
    run: reader(() => void Promise.reject(new TypeError('nobody waits for this'))),
  })),
  'planted-hang': planted('planted-hang', () => ({
    run: reader(() => {
      for (;;) if (words.length === 0) return;
    }),
  })),
  'planted-exit': planted('planted-exit', () => ({ run: reader(() => process.kill(process.pid, 'SIGSEGV')) })),
  'planted-state': planted('planted-state', () => {
    let count = 0;
    return {
      state: () => String(count),
      run: reader(() => {
        count += 1;
        throw invalid('refused, and counted');
      }),
    };
  }),
  'planted-growth': planted('planted-growth', () => {
    const kept: Uint8Array[] = [];
    return {
      run: (input) => {
        kept.push(new Uint8Array(2_000));
        return reader(() => undefined)(input);
      },
    };
  }),
};
