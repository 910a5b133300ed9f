/** A stream of bytes as lines of JSON: one event of a watch each. */

/** An object has at most some 3 MiB (the API server's limit of a request); beyond this (bytes) it is no watch. */
const LONGEST_LINE = 16 << 20;

const NEWLINE = 0x0a;

export interface Lines {
  /** The whole lines that `chunk` completes, without their ends. @throws Error when a line has no end */
  push(chunk: Buffer): string[];
}

export function lineSplitter(longest = LONGEST_LINE): Lines {
  let pending: Buffer[] = [];
  let size = 0;
  return {
    push(chunk) {
      const lines: string[] = [];
      let from = 0;
      for (let at = chunk.indexOf(NEWLINE); at !== -1; at = chunk.indexOf(NEWLINE, from)) {
        const end = chunk.subarray(from, at);
        // Joined before it is decoded: a character may be divided between two chunks.
        const line = pending.length === 0 ? end.toString('utf8') : Buffer.concat([...pending, end]).toString('utf8');
        if (line !== '') lines.push(line);
        pending = [];
        size = 0;
        from = at + 1;
      }
      if (from < chunk.length) {
        pending.push(from === 0 ? chunk : Buffer.from(chunk.subarray(from)));
        size += chunk.length - from;
        if (size > longest) throw new Error(`a line of more than ${longest} bytes`);
      }
      return lines;
    },
  };
}
