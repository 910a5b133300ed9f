/** Where the fields of a record stand, for code that reads its bytes in place. */

import type { Layout } from './layouts.js';

/** Byte offsets by field name. Throws for a field that the layout does not have. */
export function offsetsOf<const N extends string>(layout: Layout, ...names: readonly N[]): Readonly<Record<N, number>> {
  return Object.fromEntries(
    names.map((name) => {
      const field = layout.fields.find((candidate) => candidate.name === name);
      if (field === undefined) throw new Error(`${layout.name} has no field ${name}`);
      return [name, field.offset];
    }),
  ) as Record<N, number>;
}
