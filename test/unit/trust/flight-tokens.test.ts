import { describe, expect, test } from 'vitest';
import { flightIdOf } from '../../../src/domain/ids.ts';
import { createFlightTokens, flightTokenSecret } from '../../../src/trust/flight-tokens.ts';
import { generateNodeKey } from '../../../src/trust/node-key.ts';

const flight = flightIdOf('01J9Z6M3T4V8Q2X7K5B1C0D9EF');
const other = flightIdOf('01J9Z6M3T4V8Q2X7K5B1C0D9EG');
const key = generateNodeKey();
const tokens = createFlightTokens(flightTokenSecret(key));

describe('the token of a flight', () => {
  test('proves its flight and run, also after a restart of its node', () => {
    const token = tokens.of(flight, 1);
    expect(tokens.flightIn(token)).toBe(flight);
    expect(tokens.proves(token, flight, 1)).toBe(true);
    expect(createFlightTokens(flightTokenSecret(key)).proves(token, flight, 1)).toBe(true);
  });

  test('proves nothing for another run, flight or node', () => {
    const token = tokens.of(flight, 1);
    expect(tokens.proves(token, flight, 2)).toBe(false);
    expect(tokens.proves(token.replace(flight, other), other, 1)).toBe(false);
    expect(createFlightTokens(flightTokenSecret(generateNodeKey())).proves(token, flight, 1)).toBe(false);
  });

  test.each(['', 'x', flight, `${flight}.a.b`, 'flt_1.a', '.'])('is not taken from garbage: %j', (garbage) => {
    expect(tokens.flightIn(garbage)).toBeUndefined();
    expect(tokens.proves(garbage, flight, 1)).toBe(false);
  });

  test('holds nothing of the key that its secret is made from', () => {
    expect(tokens.of(flight, 1)).toMatch(/^flt_[0-9A-Z]{26}\.[\w-]{43}$/);
  });
});
