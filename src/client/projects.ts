/** What a node says of the projects of its machine. Readers throw BrokerError `incompatible` for words that this version does not know. */
import type { ScannedProject, ScanResult } from '../broker/api.ts';
import { BrokerError } from '../domain/errors.ts';
import { permissions } from '../domain/invocation.ts';
import { visibilities } from '../domain/registration.ts';
import { quoted } from '../domain/text.ts';
import type * as wire from '../gen/beckon/v1/project.ts';

const states = ['new', 'approved', 'changed', 'refused', 'ignored'] as const satisfies readonly ScannedProject['state'][];

export function decodeScan({ projects, notes }: wire.ScanProjectsResponse): ScanResult {
  return { projects: projects.map(decodeProject), notes };
}

function decodeProject({ problem, defaultWorkspace, instances, ...rest }: wire.ScannedProject): ScannedProject {
  return {
    ...rest,
    permissions: known(permissions, rest.permissions, 'permissions'),
    visibility: known(visibilities, rest.visibility, 'visibility'),
    state: known(states, rest.state, 'state'),
    ...(defaultWorkspace === '' ? {} : { defaultWorkspace }),
    ...(problem === '' ? {} : { problem }),
    instances: instances.map(({ problem: why, ...each }) => ({ ...each, ...(why === '' ? {} : { problem: why }) })),
  };
}

function known<Word extends string>(words: readonly Word[], word: string, what: string): Word {
  const found = words.find((each) => each === word);
  if (found !== undefined) return found;
  throw new BrokerError('incompatible', `the ${what} ${quoted(word)} of a project is not known to this version of Beckon`, { hint: 'update Beckon on this machine' });
}
