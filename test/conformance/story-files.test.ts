/** The files that stories are kept in. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { story } from './draw.js';
import { keepFinding, parseStory, readStories, storyText } from './story-files.js';

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sfc-stories-'));
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

describe('a story in a file', () => {
  it('is the story that was drawn', () => {
    fc.assert(
      fc.property(story, (steps) => {
        const record = { name: 'drawn', story: [...steps] };
        expect(parseStory('drawn.json', storyText(record))).toEqual(JSON.parse(JSON.stringify(record)));
      }),
      { numRuns: 200 },
    );
  });

  it('is kept under what differed and the seed, and read again', () => {
    const difference = { at: 1, what: 'bytes', kernel: '00', userspace: '01' } as const;
    const file = keepFinding({ seed: 7, story: [{ do: 'walkthrough' }, { do: 'answer' }], difference }, directory);
    expect(file).toBe(join(directory, 'bytes-seed-7.json'));
    expect(readStories(directory)).toEqual([
      { name: 'bytes that differed under seed 7', seed: 7, what: 'bytes', story: [{ do: 'walkthrough' }, { do: 'answer' }] },
    ]);
  });

  it.each([
    ['no JSON', '{', 'JSON'],
    ['no object', '[]', '/: Expected object'],
    ['without a name', '{"story":[{"do":"answer"}]}', '/name: Expected'],
    ['without a step', '{"name":"n","story":[]}', '/story: Expected array length'],
    ['with a field that nobody reads', '{"name":"n","verdict":"drop","story":[{"do":"answer"}]}', '/verdict: Unexpected property'],
    ['with another difference', '{"name":"n","what":"colour","story":[{"do":"answer"}]}', '/what: Expected union value'],
    [
      'with a step that nobody knows',
      '{"name":"n","story":[{"do":"answer"},{"do":"sing"}]}',
      '/story/1/do: one of families, walkthrough, pod',
    ],
    ['with a step that is none', '{"name":"n","story":[null]}', '/story/0/do: one of'],
    ['with a pod that is not of the cast', '{"name":"n","story":[{"do":"gone","name":"nobody"}]}', '/story/0/name: Expected union value'],
    ['with a word too many', '{"name":"n","story":[{"do":"unpath","spi":1,"si":1,"sl":1}]}', '/story/0/sl: Unexpected property'],
  ])('is refused by its file’s name: %s', (_, text, problem) => {
    writeFileSync(join(directory, 'wrong.json'), text);
    expect(() => readStories(directory)).toThrow(`${join(directory, 'wrong.json')} is no story:`);
    expect(() => readStories(directory)).toThrow(problem);
  });
});
