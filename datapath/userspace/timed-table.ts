/** A map of the pipeline's whose entries know when they were met: what all such tables have in common. */

import type { HashMap } from '../../maps/index.js';

export abstract class TimedTable {
  protected readonly map: HashMap;
  protected readonly little: boolean;
  /** The key that is asked for, in words and byte by byte. */
  protected readonly key: Int32Array;
  protected readonly keyView: DataView;
  /** Coarse monotonic clock, ns. In an array, because a field would get a new object with each number past 2^31. */
  protected readonly now = new Float64Array(1);

  constructor(map: HashMap, little: boolean) {
    this.map = map;
    this.little = little;
    this.key = new Int32Array(map.spec.key.size / 4);
    this.keyView = new DataView(this.key.buffer);
  }

  setClock(now: number): void {
    this.now[0] = now;
  }
}
