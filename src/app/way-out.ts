/** Which of this machine's addresses a connection leaves by. */
import { createSocket } from 'node:dgram';
import { isIPv6 } from 'node:net';

/** Asks the routes of the system alone: connecting a datagram socket sends nothing. @returns undefined when there is no way */
export function localAddressTowards(host: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = createSocket(isIPv6(host) ? 'udp6' : 'udp4');
    const end = (address: string | undefined): void => {
      socket.close();
      resolve(address);
    };
    socket.once('error', () => end(undefined));
    socket.connect(port, host, () => end(socket.address().address));
  });
}
