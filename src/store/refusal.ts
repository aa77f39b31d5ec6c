/** What a write answers when it refuses the caller and yet keeps what it wrote: the fact that it refused. */
import type { BrokerError } from '../domain/errors.ts';

export class Refusal {
  readonly error: BrokerError;

  constructor(error: BrokerError) {
    this.error = error;
  }
}
