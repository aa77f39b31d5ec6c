/** `node applicant.ts HOST:PORT [LOCAL-ADDRESS]...`: asks to be let in by the word of the tailnet, from each of these addresses; says how it was answered, a line each. */
import { createSystemClock } from '../../src/app/system-clock.ts';
import { BrokerError } from '../../src/domain/errors.ts';
import { parseHostPort } from '../../src/domain/host-port.ts';
import { askIssuer, askToJoin, IssuerRefusal, meetIssuer } from '../../src/trust/issuer-call.ts';
import { generateNodeKey } from '../../src/trust/node-key.ts';

const [where = '', ...addresses] = process.argv.slice(2);
const clock = createSystemClock();

async function apply(localAddress: string | undefined): Promise<object> {
  const call = { clock, ...(localAddress === undefined ? {} : { localAddress }) };
  try {
    const known = await meetIssuer(parseHostPort(where, 7423), call);
    const advice = await askIssuer(known, call).catch((error: unknown) => error);
    if (!(advice instanceof Error) && (advice as { isAdmissible: boolean }).isAdmissible) return { code: 'internal', words: `it would be let in: ${JSON.stringify(advice)}` };
    await askToJoin(known, { nodeKey: generateNodeKey(), name: 'mallory' }, call);
    return { code: 'internal', words: 'it was let in' };
  } catch (error) {
    const refusal = error instanceof IssuerRefusal ? error.error : error;
    if (refusal instanceof BrokerError && refusal.code !== 'unavailable') return { code: refusal.code, words: refusal.message };
    return refusal instanceof BrokerError && !/closed|reset|hang up|before/.test(refusal.message) ? { code: refusal.code, words: refusal.message } : { code: 'cut', words: String(refusal) };
  }
}

for (const each of addresses.length === 0 ? [undefined] : addresses) process.stdout.write(`${JSON.stringify(await apply(each))}\n`);
