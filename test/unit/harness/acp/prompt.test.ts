import { describe, expect, test } from 'vitest';
import { promptOf } from '../../../../src/harness/acp/prompt.ts';

describe('a prompt', () => {
  test('is the text of the task, empty too, and its files by the names that they have on disk', () => {
    expect(promptOf({ text: new Uint8Array(), files: [] }, undefined, true)).toEqual([{ type: 'text', text: '' }]);
    const files = ['../a b', 'x', 'X'].map((name) => ({ name, bytes: Buffer.from('1') }));
    expect(promptOf({ text: Buffer.from('t'), files }, '/tmp/d', false)).toEqual([
      { type: 'text', text: 't' },
      { type: 'resource_link', uri: 'file:///tmp/d/a%20b', name: 'a b', size: 1 },
      { type: 'resource_link', uri: 'file:///tmp/d/x', name: 'x', size: 1 },
      { type: 'resource_link', uri: 'file:///tmp/d/X-2', name: 'X-2', size: 1 },
    ]);
  });

  test('has a file’s text only when it is text, and not long', () => {
    const block = (bytes: Uint8Array) => promptOf({ text: new Uint8Array(), files: [{ name: 'f', bytes }] }, '/d', true)[1]?.type;
    expect([block(Buffer.from('é')), block(Buffer.of(0xff)), block(Buffer.from('a\0b')), block(Buffer.alloc(70_000, 'x'))]).toEqual(['resource', 'resource_link', 'resource_link', 'resource_link']);
  });
});
