/** The notifier that the settings name now. */
import type { Notifier } from '../domain/notification.ts';
import type { LiveConfig } from './live-config.ts';
import { createNotifier } from './notifier.ts';
import type { NotifierParts } from './notifier.ts';

export async function createLiveNotifier(config: LiveConfig, parts: Omit<NotifierParts, 'command'>): Promise<Notifier> {
  const create = (): Promise<Notifier> => createNotifier({ ...parts, command: config.now.notify });
  let latest = create();
  let now = await latest;
  config.onChange((changed) => {
    if (!changed.has('notify')) return;
    const made = create();
    latest = made;
    // Of several in a row the last is the one.
    void made.then((notifier) => {
      if (made === latest) now = notifier;
    });
  });
  return {
    get unable() {
      return now.unable;
    },
    notify: (notification, signal) => now.notify(notification, signal),
  };
}
