/** What a call says in front of a task that is large, so that the node can make room before it reads it. */
import { Metadata } from '@grpc/grpc-js';
import { taskBytes } from '../domain/invocation.ts';
import type { Task } from '../domain/invocation.ts';

export const taskBytesKey = 'beckon-task-bytes';

/** Smaller ones are read at once, bytes. */
export const leastAnnounced = 256 * 1024;

export function announcing(task: Task): Metadata {
  const metadata = new Metadata();
  const bytes = taskBytes(task);
  if (bytes >= leastAnnounced) metadata.set(taskBytesKey, String(bytes));
  return metadata;
}
