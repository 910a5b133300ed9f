/** A file's text as its documents, so that a broken one costs its neighbours nothing. */

export interface Piece {
  /** Directives, comments and content of one document, with its `---`. */
  readonly text: string;
  /** Lines of the file before it. */
  readonly linesBefore: number;
}

/** `---` or `...` at the start of a line: a document's bound even inside a scalar (YAML 1.2.2, 9.1.2). */
const BOUND = /(?<![^\n])(---|\.\.\.)(?=[ \t\r\n]|$)/g;
/** A line that is neither blank nor a comment nor a directive. The others belong to the document that follows. */
const CONTENT = /(?<![^\n])(?!%)[ \t]*[^\s#]/;

function countLines(text: string, from: number, to: number): number {
  let lines = 0;
  for (let at = text.indexOf('\n', from); at !== -1 && at < to; at = text.indexOf('\n', at + 1)) lines++;
  return lines;
}

/** Every document in turn; the text before a first `---` is one only when it has content. */
export function* splitDocuments(source: string): Generator<Piece> {
  const text = source.startsWith('\ufeff') ? source.slice(1) : source;
  let start = 0;
  let linesBefore = 0;
  /** The piece began with `---`: it is a document though nothing follows. */
  let begun = false;
  const piece = (end: number): Piece | undefined => {
    const part = text.slice(start, end);
    return begun || CONTENT.test(part) ? { text: part, linesBefore } : undefined;
  };
  for (const bound of text.matchAll(BOUND)) {
    const found = piece(bound.index);
    if (found !== undefined) yield found;
    const ends = bound[1] === '...';
    // What only precedes a document stays with it, directives and all.
    if (found === undefined && !ends) {
      begun = true;
      continue;
    }
    const next = ends ? bound.index + 3 : bound.index;
    linesBefore += countLines(text, start, next);
    start = next;
    begun = !ends;
  }
  const last = piece(text.length);
  if (last !== undefined) yield last;
}
