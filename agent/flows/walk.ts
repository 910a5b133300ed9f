/** What walks over the flow table are for. The table is walked once for all of them. */

/** One walk, as somebody sees it who wants to know of every flow. */
export interface WalkVisitor {
  /** An entry of `sfcflow` that stays, as bytes. */
  see(key: Uint8Array, value: Uint8Array): void;
  /** The walk has come to its end. Not called of one that was given up. */
  end(): void;
}
