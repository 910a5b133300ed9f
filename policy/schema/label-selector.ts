/** Label selectors as the resources write them. */

import { Type } from '@sinclair/typebox';
import { choice, labelKey, labelMap, labelValue } from './strings.js';

const STRAYS = 'Labels belong under matchLabels, each with a string as its value.';

/** Nobody writes as many; bounded, so that an API server can tell beforehand what its rules cost. */
const MOST_LABELS = 64;
const MOST_VALUES = 256;

/** matchLabels and matchExpressions; all of them must hold, and none at all selects everything. */
export function labelSelector(options: { readonly description: string }) {
  return Type.Object(
    {
      matchLabels: Type.Optional(
        labelMap({ description: 'Labels that must be there with just these values.', maxProperties: MOST_LABELS }),
      ),
      matchExpressions: Type.Optional(
        Type.Array(
          Type.Object(
            {
              key: Type.String({ ...labelKey, description: 'Key of the label that is looked at.' }),
              operator: choice(['In', 'NotIn', 'Exists', 'DoesNotExist'], {
                title: 'operator',
                description: "How the label's value relates to `values`.",
              }),
              values: Type.Optional(
                Type.Array(labelValue, {
                  maxItems: MOST_VALUES,
                  description: 'At least one for In and NotIn, none for Exists and DoesNotExist.',
                }),
              ),
            },
            { additionalProperties: false },
          ),
          { maxItems: MOST_LABELS, description: 'Requirements that must all hold.' },
        ),
      ),
    },
    { additionalProperties: false, strays: STRAYS, ...options },
  );
}

/** The older form, without expressions: what the functions of a chain are selected by. */
export function equalitySelector(options: { readonly description: string }) {
  return Type.Object(
    {
      // An empty one would make every pod of the namespace an instance; the API asks for one label at least.
      matchLabels: labelMap({
        description: 'Labels that must be there with just these values.',
        minProperties: 1,
        maxProperties: MOST_LABELS,
      }),
    },
    {
      additionalProperties: false,
      strays: STRAYS,
      refuses: { matchExpressions: "a function's pods are selected by matchLabels alone" },
      ...options,
    },
  );
}
