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
  /** The text is no YAML, so that what `value` lacks may stand in it all the same. */
  readonly broken: boolean;
  readonly faults: readonly YamlFault[];
  lineOf(path: Path): number;
}

/** Lexical tokens of a document. Four megabytes of usual manifests are about as many. */
const MOST_TOKENS = 1_000_000;
/** Faults told of one document's syntax: behind the first ones, others mean little. */
const MOST_FAULTS = 20;

const OPTIONS = {
  // Our own check is one pass; the library's compares every pair of keys.
  uniqueKeys: false,
  prettyErrors: false,
  resolveKnownTags: false,
  logLevel: 'silent',
} as const;

interface Composed {
  readonly documents: readonly YamlDocument.Parsed[];
  readonly fault: YamlFault | undefined;
}

/**
 * Bounds come before composing: the composer recurses, and an overflow of the stack inside a regular
 * expression ends the process.
 */
function compose(text: string, lines: LineCounter): Composed {
  const parser = new Parser(lines.addNewLine);
  const composer = new Composer({ ...OPTIONS, lineCounter: lines });
  const documents: YamlDocument.Parsed[] = [];
  let tokens = 0;
  let line = 1;
  lines.addNewLine(0);
  try {
    for (const lexeme of new Lexer().lex(text)) {
      for (const token of parser.next(lexeme)) documents.push(...composer.next(token));
      if (++tokens % 1024 === 0) line = lines.linePos(parser.offset).line;
      if (tokens > MOST_TOKENS) return { documents: [], fault: { line, message: 'too large to be a resource', hint: 'Divide it.' } };
      if (parser.stack.length > 2 * DEEPEST) {
        line = lines.linePos(parser.offset).line;
        return { documents: [], fault: { line, message: `nested more than ${DEEPEST} deep`, hint: 'Flatten it.' } };
      }
    }
    for (const token of parser.end()) documents.push(...composer.next(token));
    documents.push(...composer.end(true, text.length));
    return { documents, fault: undefined };
  } catch (error) {
    // An escape outside Unicode is thrown, not reported.
    const message = `not YAML: ${error instanceof Error ? error.message : String(error)}`;
    return { documents: [], fault: { line, message, hint: 'Correct the syntax.' } };
  }
}

function readPiece({ text, linesBefore }: Piece, number: number): SourceDocument | undefined {
  const lines = new LineCounter();
  const { documents, fault } = compose(text, lines);
  const document = documents[0];
  if (fault !== undefined || document === undefined) {
    const line = linesBefore + (fault?.line ?? 1);
    const faults = fault === undefined ? [] : [{ ...fault, line }];
    return { number, line, value: undefined, broken: true, faults, lineOf: () => line };
  }
  const lineAt = (offset: number) => linesBefore + Math.max(1, lines.linePos(offset).line);
  const tree = treeOf(document.contents, lineAt);
  // A second document inside one piece comes of a line break that YAML does not know.
  const broken = document.errors.length > 0 || documents.length > 1;
  if (!broken && tree.value === null) return undefined;
  const errors = document.errors.slice(0, MOST_FAULTS).map(({ pos, code, message }) => ({
    line: lineAt(pos[0]),
    message: `not YAML: ${message}`,
    hint: code === 'TAB_AS_INDENT' ? 'Indent with spaces.' : 'Correct the syntax here or just above.',
  }));
  if (broken && errors.length === 0)
    errors.push({ line: tree.lineOf([]), message: 'not YAML: two documents in one', hint: 'Put --- on a line of its own.' });
  const faults = [...errors, ...tree.faults.slice(0, MOST_FAULTS)];
  return { number, line: tree.lineOf([]), value: tree.value, broken, faults, lineOf: tree.lineOf };
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
