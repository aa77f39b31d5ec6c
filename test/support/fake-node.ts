/** A control server on a real socket over a FakeBroker. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSystemClock } from '../../src/app/system-clock.ts';
import { ControlServer } from '../../src/control/server.ts';
import type { ConfigView } from '../../src/domain/config-view.ts';
import { AttachedHarness } from '../../src/harness/attached/harness.ts';
import { CliProcess } from './cli-host.ts';
import type { HostOptions } from './cli-host.ts';
import { FakeBroker } from './fake-broker.ts';
import { FakeHealth } from './fake-health.ts';

const log = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

export class FakeNode {
  readonly directory = mkdtempSync(join(tmpdir(), 'beckon-control-'));
  readonly socketPath = join(this.directory, 'run', 'control.sock');
  readonly broker = new FakeBroker();
  readonly health = new FakeHealth();
  /** What it says of its settings. */
  config: ConfigView = { path: '/nowhere/config.toml', exists: false, settings: [], flaws: [] };
  readonly served = new AttachedHarness({ clock: createSystemClock(), onServersChanged: () => Promise.resolve() });
  readonly server = new ControlServer({ api: this.broker, served: this.served, socketPath: this.socketPath, uid: process.getuid?.() ?? 0, clock: createSystemClock(), log, config: () => Promise.resolve(this.config), health: this.health });

  async start(): Promise<this> {
    await this.server.start();
    return this;
  }

  async stop(): Promise<void> {
    await this.server.stop();
    rmSync(this.directory, { recursive: true, force: true });
  }

  process(options: Partial<HostOptions> = {}): CliProcess {
    return new CliProcess({ socketPath: this.socketPath, ...options });
  }

  /** Runs one command to its end. */
  async run(argv: readonly string[], options: Partial<HostOptions> = {}): Promise<CliProcess & { code: number }> {
    const ran = this.process(options);
    const code = await ran.run(...argv);
    return Object.assign(ran, { code });
  }
}
