import { describe, expect, it } from 'vitest';
import { lineSplitter } from './lines.js';

describe('lines of a stream', () => {
  it('are the same however the bytes come in', () => {
    const lines = ['{"a":"firewall"}', '{"b":"방화벽 – é"}', '{}'];
    const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(''));
    for (let size = 1; size <= bytes.length; size++) {
      const splitter = lineSplitter();
      const found: string[] = [];
      for (let at = 0; at < bytes.length; at += size) found.push(...splitter.push(bytes.subarray(at, at + size)));
      expect(found, `in pieces of ${size} bytes`).toEqual(lines);
    }
  });

  it('end somewhere', () => {
    const splitter = lineSplitter(10);
    expect(splitter.push(Buffer.from('12345'))).toEqual([]);
    expect(() => splitter.push(Buffer.from('678901'))).toThrow('a line of more than 10 bytes');
  });
});
