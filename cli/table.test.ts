import { expect, it } from 'vitest';
import { formatDuration } from './duration.js';
import { writeLines } from './io.js';
import { tableLines } from './table.js';

interface Row {
  readonly name: string;
  readonly count: number;
  readonly note: string;
}

const columns = [
  { title: 'NAME', value: ({ name }: Row) => name, width: 6 },
  { title: 'COUNT', value: ({ count }: Row) => count },
  { title: 'NOTE', value: ({ note }: Row) => note },
];

it('columns stand two spaces apart, numbers to the right, nothing at the ends of lines', () => {
  const rows = [
    { name: 'a', count: 5, note: '' },
    { name: 'longer name', count: 123456, note: 'x' },
  ];
  expect([...tableLines(columns, rows)]).toEqual(['NAME          COUNT  NOTE', 'a                 5  -', 'longer name  123456  x']);
  expect([...tableLines(columns, [])]).toEqual(['NAME    COUNT  NOTE']);
});

it('painting a line moves no column', () => {
  const rows = [{ name: 'a\u001bb', count: 1, note: 'x' }];
  expect([...tableLines(columns, rows, (line, { count }) => `<${count}>${line}`)][1]).toBe('<1>a\\u{1b}b      1  x');
});

it.each([
  [-5, '0s'],
  [59.9, '59s'],
  [60, '1m0s'],
  [3599, '59m59s'],
  [3600, '1h0m'],
  [86_399, '23h59m'],
  [86_400, '1d0h'],
  [100 * 86_400 + 3600, '100d1h'],
])('%d seconds read %s', (seconds, text) => {
  expect(formatDuration(seconds)).toBe(text);
});

it.each([0, 1, 999, 1000, 1001, 2500])('%d lines arrive whole and in order', (count) => {
  const lines = Array.from({ length: count }, (_, index) => `line ${index}`);
  const written: string[] = [];
  writeLines({ write: (text) => written.push(text) }, lines);
  expect(written.join('')).toBe(lines.map((line) => `${line}\n`).join(''));
  expect(written.length).toBe(Math.ceil(count / 1000));
});
