/** The schema of each map's entries, from the same layouts as the codecs and the C structs. */

import { type TSchema, Type } from '@sinclair/typebox';
import type { MapEntryView } from '../agent/view.js';
import { type Field, MAP_NAMES, MAPS, type MapName } from '../maps/index.js';

/** Fields that the view gives as text: addresses, and paths as `(1, 1)`. */
const isText = ({ name, kind }: Field) => kind === 'bytes' || name === 'path' || name === 'next_path';

function entrySchema(map: MapName): TSchema {
  const { key, value, doc } = MAPS[map];
  const fields = [...key.fields, ...value.fields].filter(({ kind }) => kind !== 'pad');
  const properties = fields.map((field) => {
    const options = { description: field.doc };
    return [field.name, isText(field) ? Type.String(options) : Type.Integer(options)] as const;
  });
  return Type.Object(Object.fromEntries(properties), { title: `${map}Entry`, description: doc, additionalProperties: false });
}

function pageSchema(map: MapName): TSchema {
  return Type.Object(
    {
      map: Type.Literal(map),
      entries: Type.Array(entrySchema(map)),
      more: Type.Boolean({ description: '`limit` left entries out' }),
    },
    { title: `${map}Page`, additionalProperties: false },
  );
}

/** The entries of any map. */
export const mapPageSchema = Type.Union(MAP_NAMES.map(pageSchema), { title: 'MapPage' });

export interface MapPage {
  readonly map: MapName;
  readonly entries: readonly MapEntryView[];
  readonly more: boolean;
}
