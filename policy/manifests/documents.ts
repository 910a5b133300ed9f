/** The YAML (or JSON) documents of a file, each bounded in size and depth before it is composed. */

import { Composer, Lexer, LineCounter, Parser, type Document as YamlDocument } from 'yaml';
import type { Path } from '../schema/index.js';
import { type Piece, splitDocuments } from './split.js';
import { DEEPEST, treeOf, type YamlFault } from './tree.js';

export interface SourceDocument {
  /** 1-based, as YAML counts; empty documents have a number and are left out. */
  readonly number: number;
  /** Line of the file on which its content begins. */
  readonly line: number;
  /** What could be read of it. */
  readonly value: unknown;
  /** What is wrong with it as YAML. Where there is something, `value` may lack what the text has, and name the wrong thing. */
  readonly faults: readonly YamlFault[];
  lineOf(path: Path): number;
}

/** Lexical tokens of a document. Four megabytes of usual manifests are about as many. */
const MOST_TOKENS = 1_000_000;
/** Faults told of one document's syntax: behind the first ones, others mean little. */
const MOST_FAULTS = 20;
/** The parser's messages quote what they stumble over, however long that is. */
const LONGEST_MESSAGE = 200;

const OPTIONS = {
  // Our own check is one pass; the library's compares every pair of keys.
  uniqueKeys: false,
  prettyErrors: false,
  resolveKnownTags: false,
  logLevel: 'silent',
} as const;

/**
 * Bounds come before composing: the composer recurses, and an overflow of the stack inside a regular
 * expression ends the process. A fault is one that leaves nothing of the document.
 */
function compose(text: string, lines: LineCounter): YamlDocument.Parsed | YamlFault {
  const parser = new Parser(lines.addNewLine);
  const composer = new Composer({ ...OPTIONS, lineCounter: lines });
  const documents: YamlDocument.Parsed[] = [];
  const fault = (message: string, hint: string): YamlFault => ({ line: lines.linePos(parser.offset).line, message, hint });
  let tokens = 0;
  let errors = 0;
  lines.addNewLine(0);
  try {
    read: for (const lexeme of new Lexer().lex(text)) {
      for (const token of parser.next(lexeme)) {
        if (token.type === 'error' && ++errors >= MOST_FAULTS) break read;
        documents.push(...composer.next(token));
      }
      if (++tokens > MOST_TOKENS) return fault('too large to be a resource', 'Divide it into several documents.');
      if (parser.stack.length > 2 * DEEPEST) return fault(`nested more than ${DEEPEST} deep`, 'Flatten it.');
    }
    for (const token of parser.end()) documents.push(...composer.next(token));
    documents.push(...composer.end(true, text.length));
  } catch (error) {
    // An escape outside Unicode is thrown, not reported.
    return fault(`not YAML: ${error instanceof Error ? error.message : String(error)}`, 'Correct the syntax.');
  }
  const [document] = documents;
  // Two of them in one piece come of a line break that only the parser takes for one.
  if (document === undefined || documents.length > 1) return fault('not YAML: two documents in one', 'Put --- on a line of its own.');
  return document;
}

function readPiece({ text, linesBefore }: Piece, number: number): SourceDocument | undefined {
  const lines = new LineCounter();
  const document = compose(text, lines);
  if (!('contents' in document)) {
    const line = linesBefore + document.line;
    return { number, line, value: undefined, faults: [{ ...document, line }], lineOf: () => line };
  }
  const lineAt = (offset: number) => linesBefore + Math.max(1, lines.linePos(offset).line);
  const tree = treeOf(document.contents, lineAt);
  if (document.errors.length === 0 && tree.faults.length === 0 && tree.value === null) return undefined;
  // What is missing at the end is missed on the last line that has something.
  const end = Math.max(0, text.trimEnd().length - 1);
  const errors = document.errors.slice(0, MOST_FAULTS).map(({ pos, code, message }) => ({
    line: lineAt(Math.min(pos[0], end)),
    message: `not YAML: ${message.length > LONGEST_MESSAGE ? `${message.slice(0, LONGEST_MESSAGE)}…` : message}`,
    hint: code === 'TAB_AS_INDENT' ? 'Indent with spaces.' : 'Correct the syntax here or just above.',
  }));
  const faults = [...errors, ...tree.faults.slice(0, MOST_FAULTS)];
  return { number, line: tree.lineOf([]), value: tree.value, faults, lineOf: tree.lineOf };
}

/** Every document that is not empty. */
export function* readDocuments(text: string): Generator<SourceDocument> {
  let number = 0;
  for (const piece of splitDocuments(text)) {
    number++;
    const document = readPiece(piece, number);
    if (document !== undefined) yield document;
  }
}
