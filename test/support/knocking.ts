/** Connections to a node's network port that are not to be let in, each told how it ended. */
import http2 from 'node:http2';
import { connect as connectPlain } from 'node:net';
import { connect } from 'node:tls';
import type { ConnectionOptions, TLSSocket } from 'node:tls';
import type { HostPort } from '../../src/domain/host-port.ts';
import { formatHostPort } from '../../src/domain/host-port.ts';
import { toldByError } from './attack.ts';
import type { Told } from './attack.ts';
import { otherMachine } from './false-member.ts';

export const cut = { code: 'cut' } as const;
const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
/** As gRPC begins: with its settings, which are none. */
const begins = `${preface}\0\0\0\x04\0\0\0\0\0`;

/** PEM */
export interface Shown {
  readonly keyPem: string;
  readonly chainPem: string;
}

/** A connection with that certificate, to speak gRPC on unless it `says` something else. Rejects when it was let in */
export function knocks({ host, port }: HostPort, { keyPem, chainPem }: Shown, options: ConnectionOptions = {}, says = begins): Promise<Told> {
  return new Promise((resolve, reject) => {
    const socket: TLSSocket = connect({ host, port, rejectUnauthorized: false, ALPNProtocols: ['h2'], key: keyPem, cert: chainPem, ...otherMachine(), ...options });
    const heard: Buffer[] = [];
    const late = setTimeout(() => (socket.destroy(), reject(new Error('it was let in'))), 8_000);
    socket.once('secureConnect', () => socket.write(says));
    socket.on('data', (bytes: Buffer) => heard.push(bytes));
    socket.on('error', () => undefined);
    socket.once('close', () => {
      clearTimeout(late);
      resolve(heard.length === 0 ? cut : { code: 'repeated', words: `it answered ${Buffer.concat(heard).toString('latin1').slice(0, 200)}` });
    });
  });
}

/** Resumes the TLS session of a connection that was let in, and shows no certificate of its own. */
export async function resumes({ host, port }: HostPort, { keyPem, chainPem }: Shown): Promise<Told> {
  const usual = { host, port, rejectUnauthorized: false, ALPNProtocols: ['h2'] };
  const tickets: Buffer[] = [];
  const first = connect({ ...usual, key: keyPem, cert: chainPem, ...otherMachine() });
  first.on('error', () => undefined);
  first.on('session', (ticket: Buffer) => tickets.push(ticket));
  await new Promise<void>((resolve) => first.once('secureConnect', () => resolve()));
  await new Promise((resolve) => setTimeout(resolve, 100));
  const session = tickets.at(-1) ?? first.getSession();
  first.destroy();
  return new Promise<Told>((resolve) => {
    const second = connect({ ...usual, ...(session === undefined ? {} : { session }), ...otherMachine() });
    let isReused = false;
    second.once('secureConnect', () => (isReused = second.isSessionReused()));
    second.on('error', () => undefined);
    second.resume().once('close', () => resolve(isReused ? { code: 'repeated', words: 'the session was resumed' } : cut));
  });
}

export function knocksPlainly({ host, port }: HostPort): Promise<Told> {
  return new Promise((resolve) => {
    const socket = connectPlain({ host, port, ...otherMachine() }, () => void socket.write(preface));
    socket.on('error', () => undefined);
    socket.resume().once('close', () => resolve(cut));
  });
}

/** One gRPC call of somebody without a certificate. Rejects when it was answered */
export function callsUncertified(at: HostPort, path: string): Promise<Told> {
  return new Promise((resolve, reject) => {
    const session = http2.connect(`https://${formatHostPort(at)}`, { rejectUnauthorized: false, ...otherMachine() } as http2.SecureClientSessionOptions);
    session.on('error', () => undefined);
    session.once('close', () => resolve(cut));
    const call = session.request({ ':method': 'POST', ':path': path, 'content-type': 'application/grpc', te: 'trailers' });
    call.on('error', () => undefined);
    call.once('response', (headers) => reject(new Error(`it answered ${JSON.stringify(headers)}`)));
    call.end(Buffer.alloc(5));
  });
}

/** How an issuer refused at its entrance, in its own words. @throws when it did not */
export async function toldByIssuer(work: Promise<unknown>): Promise<Told> {
  try {
    await work;
  } catch (error) {
    const said = (error as { readonly error?: { readonly code: Told['code']; readonly message: string } }).error;
    return said === undefined ? toldByError(Promise.reject(error)) : { code: said.code, words: said.message };
  }
  throw new Error('it was not refused');
}
