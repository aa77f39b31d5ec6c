/** The fake agent of the Agent Client Protocol, as an endpoint. */
import { fileURLToPath } from 'node:url';
import { agentIdOf } from '../../src/domain/ids.ts';
import type { Endpoint } from '../../src/domain/invocation.ts';

export const acpAgentFile = fileURLToPath(new URL('acp-agent.ts', import.meta.url));

/** @param options of `acp-agent.ts` */
export function acpAgent(cwd: string, ...options: string[]): Endpoint {
  return {
    agentId: agentIdOf('01J9Z6M3T4V8Q2X7K5B1C0D9EF'),
    address: '@agent@laptop#main',
    harness: 'acp',
    cwd,
    argv: [process.execPath, acpAgentFile, ...options],
    env: [],
    path: '/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin',
    permissions: 'ask',
    isolate: false,
  };
}
