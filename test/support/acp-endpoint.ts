/** The fake agent of the Agent Client Protocol as an endpoint, and the harness with what a test wants of it. */
import { fileURLToPath } from 'node:url';
import { createSystemClock } from '../../src/app/system-clock.ts';
import { agentIdOf } from '../../src/domain/ids.ts';
import type { Endpoint } from '../../src/domain/invocation.ts';
import { AcpHarness } from '../../src/harness/acp/harness.ts';
import { anyAgent } from '../../src/harness/acp/presets.ts';
import type { RunParts } from '../../src/harness/acp/run.ts';
import { WarmAgents, type WarmParts } from '../../src/harness/acp/warm.ts';
import { OutputPipeStock } from '../../src/harness/pipes.ts';
import { processTable } from '../../src/harness/process-table.ts';

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

export function acpHarness(given: Pick<RunParts, 'environment'> & Partial<RunParts> & { readonly keep?: Partial<WarmParts> }): AcpHarness {
  const { keep, ...parts } = given;
  const clock = parts.clock ?? createSystemClock();
  const temporary = parts.environment['TMPDIR'] ?? '/tmp';
  return new AcpHarness({
    preset: anyAgent,
    version: '0.0.0',
    readProcesses: processTable(process.platform),
    temporary,
    pipes: new OutputPipeStock(temporary),
    warm: new WarmAgents({ clock, events: { ended: () => undefined }, ...keep }),
    ...parts,
    clock,
  });
}
