/**
 * As much of the NATS client protocol as publishing to JetStream takes: https://docs.nats.io/reference/reference-protocols/nats-protocol.
 * Written out here, so that comparing needs no library.
 */
import { once } from 'node:events';
import { connect } from 'node:net';
import type { Socket } from 'node:net';

const lineEnd = Buffer.from('\r\n');

interface Message {
  readonly subject: string;
  readonly content: string;
}

export class NatsConnection implements Disposable {
  readonly #socket: Socket;
  /** Takes each message that comes. */
  #take: (message: Message) => void = () => undefined;
  #rest: Buffer = Buffer.alloc(0);
  readonly #lost = Promise.withResolvers<never>();
  /** What goes out when all that has come is handled. */
  #outgoing: string[] = [];

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (chunk) => this.#read(chunk));
    socket.on('error', (error) => this.#lost.reject(error));
    socket.on('close', () => this.#lost.reject(new Error('the server closed the connection')));
    // Whoever waits for something hears of it.
    void Promise.allSettled([this.#lost.promise]);
  }

  /** Answers come to subjects below `inbox`. @throws when nobody listens there */
  static async open(port: number, inbox: string): Promise<NatsConnection> {
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    const connection = new NatsConnection(socket);
    connection.#send(`CONNECT {"verbose":false,"pedantic":false,"lang":"node","version":"0","protocol":1}\r\nSUB ${inbox}.* 1\r\n`);
    connection.#flush();
    return connection;
  }

  /** Its answer comes to `replyTo`. Leaves once what has come is handled. */
  publish(subject: string, replyTo: string, content: string): void {
    this.#send(`PUB ${subject} ${replyTo} ${Buffer.byteLength(content)}\r\n${content}\r\n`);
  }

  /** One question, one answer, while nothing else goes on. @throws when it is an error */
  async ask(subject: string, replyTo: string, content: string): Promise<void> {
    const answered = this.#next();
    this.publish(subject, replyTo, content);
    this.#flush();
    const { error } = JSON.parse((await answered).content) as { readonly error?: { readonly description: string } };
    if (error !== undefined) throw new Error(`${subject}: ${error.description}`);
  }

  /** Calls `take` with each message until `work` resolves. @throws when the connection is lost before */
  async during(work: Promise<void>, take: (message: Message) => void): Promise<void> {
    this.#take = take;
    this.#flush();
    try {
      await Promise.race([work, this.#lost.promise]);
    } finally {
      this.#take = () => undefined;
    }
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
  }

  async #next(): Promise<Message> {
    const { promise, resolve } = Promise.withResolvers<Message>();
    this.#take = resolve;
    return await Promise.race([promise, this.#lost.promise]);
  }

  #send(text: string): void {
    this.#outgoing.push(text);
  }

  #flush(): void {
    if (this.#outgoing.length === 0) return;
    this.#socket.write(this.#outgoing.join(''));
    this.#outgoing = [];
  }

  #read(chunk: Buffer): void {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    let at = 0;
    for (let end = bytes.indexOf(lineEnd, at); end >= 0; end = bytes.indexOf(lineEnd, at)) {
      const [verb = '', ...words] = bytes.toString('latin1', at, end).split(' ');
      const next = end + lineEnd.length;
      if (verb === 'MSG') {
        const size = Number(words.at(-1));
        if (bytes.length < next + size + lineEnd.length) break;
        this.#take({ subject: words[0] ?? '', content: bytes.toString('utf8', next, next + size) });
        at = next + size + lineEnd.length;
        continue;
      }
      if (verb === 'PING') this.#send('PONG\r\n');
      if (verb === '-ERR') this.#socket.destroy(new Error(words.join(' ')));
      at = next;
    }
    this.#rest = bytes.subarray(at);
    this.#flush();
  }
}
