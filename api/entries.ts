/** The entries of a map as JSON text, in pieces: a map of a million entries is never one string. */

import type { MapEntryView } from '../agent/view.js';
import type { MapName } from '../maps/index.js';

/** Entries a piece: some tens of kilobytes, and the event loop turns between two of them. */
const PIECE = 256;

/** A `MapPage` in pieces. The reader's pace decides how many of them exist at a time. */
export function* mapPageText(map: MapName, entries: Iterable<MapEntryView>, limit: number): Generator<string> {
  yield `{"map":${JSON.stringify(map)},"entries":[`;
  let piece: string[] = [];
  let written = 0;
  let more = false;
  for (const entry of entries) {
    if (written === limit) {
      more = true;
      break;
    }
    piece.push(`${written === 0 ? '' : ','}${JSON.stringify(entry)}`);
    written++;
    if (piece.length === PIECE) {
      yield piece.join('');
      piece = [];
    }
  }
  yield `${piece.join('')}],"more":${more}}\n`;
}
