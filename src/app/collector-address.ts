/** Where a collector of traces listens, as a person writes it. */
import { invalid } from '../domain/errors.ts';

/** Where a collector takes traces when only it is named. */
export const tracesPath = 'v1/traces';

/** The URL itself, or of a collector without a path the one it has for traces. @throws BrokerError `invalid` */
export function readEndpoint(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol)) throw invalid('is no address that begins with http:// or https://');
  if (url.username !== '' || url.password !== '') throw invalid('holds a name or a password: give those in OTEL_EXPORTER_OTLP_HEADERS');
  return url.pathname === '/' ? new URL(tracesPath, url).href : url.href;
}
