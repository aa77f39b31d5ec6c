/** A backup as it goes on, for whoever waits for it. */
import type { BrokerApi } from '../broker/api.ts';
import type { BackupProgress } from '../domain/backup-report.ts';
import type { BackupInStepsResponse } from '../gen/beckon/v1/control.ts';
import { encodeCounts } from './views.ts';

/** Of what is told between two readings only the last is passed on, and only when it is another percent. */
export async function* backupInSteps(api: Pick<BrokerApi, 'backup'>, path: string): AsyncGenerator<BackupInStepsResponse> {
  let news = Promise.withResolvers<undefined>();
  let latest: BackupProgress | undefined;
  let told = '';
  const report = api.backup(path, (progress) => {
    const words = wordsOf(progress);
    if (words === told) return;
    told = words;
    latest = progress;
    news.resolve(undefined);
  });
  for (;;) {
    const over = await Promise.race([report, news.promise]);
    if (over !== undefined) {
      const { flights, ...rest } = over;
      yield { update: { $case: 'report', value: { ...rest, flights: encodeCounts(flights) } } };
      return;
    }
    news = Promise.withResolvers();
    if (latest !== undefined) yield { update: { $case: 'progress', value: { done: 0, total: 0, ...latest } } };
  }
}

const wordsOf = (progress: BackupProgress): string => (progress.step === 'check' ? progress.step : `${progress.step} ${Math.floor((100 * progress.done) / Math.max(1, progress.total))}`);
