/** What a command is given, and how it reaches a node. */
import { BrokerError } from '../domain/errors.ts';
import { flightTokenVariable } from '../domain/flight-token.ts';
import type { ConnectOptions } from '../client/connect.ts';
import type { NodeClient } from '../client/types.ts';
import type { Host } from './host.ts';
import type { Output } from './output.ts';

export interface Context {
  readonly host: Host;
  readonly out: Output;
  /** What stood behind `--`, for a command that keeps it apart. */
  readonly behindDashes: readonly string[];
}

/**
 * Runs `use` on a connection to this machine's node. With `offline` and no node running, a node without network is
 * started in this process for as long as `use` takes.
 */
export async function withNode<Result>(
  { host }: Context,
  use: (client: NodeClient) => Promise<Result>,
  options: { readonly offline?: boolean } = {},
): Promise<Result> {
  const { connect } = await import('../client/connect.ts');
  let client: NodeClient;
  try {
    client = await connect(toNode(host, host.socketPath()));
  } catch (thrown) {
    const isAbsent = thrown instanceof BrokerError && thrown.code === 'unavailable';
    if (!isAbsent || options.offline !== true) throw thrown;
    return await offline(host, use);
  }
  try {
    return await use(client);
  } finally {
    client.close();
  }
}

async function offline<Result>(host: Host, use: (client: NodeClient) => Promise<Result>): Promise<Result> {
  const { connect } = await import('../client/connect.ts');
  const node = await host.node.run({ given: {}, offline: true });
  try {
    const client = await connect(toNode(host, node.ready.socket));
    try {
      return await use(client);
    } finally {
      client.close();
    }
  } finally {
    await node.stop(false);
  }
}

function toNode({ clock, env }: Host, socketPath: string): ConnectOptions {
  const flightToken = env[flightTokenVariable];
  return { socketPath, now: () => clock.now(), ...(flightToken === undefined || flightToken === '' ? {} : { flightToken }) };
}
