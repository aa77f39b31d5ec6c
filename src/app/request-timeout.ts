import { invalid, toBrokerError } from '../domain/errors.ts';
import { parseDuration } from '../domain/duration.ts';

const variable = 'BECKON_REQUEST_TIMEOUT';

/** How long what an agent asks waits for an answer, as the node's environment says. @throws BrokerError `invalid` naming the variable */
export function requestTimeout(env: Readonly<Record<string, string | undefined>>): { readonly requestMs?: number } {
  const given = env[variable] ?? '';
  if (given === '') return {};
  try {
    return { requestMs: parseDuration(given) };
  } catch (error) {
    throw invalid(`${variable}: ${toBrokerError(error).message}`, 'give a duration such as 30m, or unset it');
  }
}
