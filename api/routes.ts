/**
 * What can be asked, declared once: the server registers these routes and the OpenAPI document
 * describes them. What changes something is in `sandbox-routes.ts`.
 */

import { Readable } from 'node:stream';
import { type TObject, type TSchema, Type } from '@sinclair/typebox';
import type { AgentView } from '../agent/view.js';
import { SfcError } from '../errors/index.js';
import { MAP_NAMES, type MapName } from '../maps/index.js';
import { mapPageText } from './entries.js';
import { mapPageSchema } from './map-schemas.js';
import { SANDBOX_ROUTES } from './sandbox-routes.js';
import {
  chainSchema,
  conflictSchema,
  endpointSchema,
  listOf,
  mapSchema,
  NO_QUERY,
  okSchema,
  problemSchema,
  selectorSchema,
  serviceSchema,
  statusSchema,
} from './schemas.js';

/** The parameters of a request, already checked against the route's schemas. */
export interface Asked {
  /** The name in the path; empty where the route has none. */
  readonly name: string;
  readonly limit: number | undefined;
  /** Of a sandbox, the interface inside it; empty where the route has none. */
  readonly interface: string;
  /** Undefined where the route takes none. */
  readonly body: unknown;
}

export interface Route {
  readonly method: 'GET' | 'PUT' | 'DELETE';
  /** As Fastify writes it: `/v1/chains/:name`. */
  readonly path: string;
  readonly summary: string;
  readonly query: TObject;
  /** Undefined: it takes no body. */
  readonly body?: TSchema;
  readonly response: TSchema;
  /** Statuses other than 200 that the route itself can give. */
  readonly refusals: readonly number[];
  /** A `Readable` is JSON text that is sent as it comes; a promise is waited for. */
  readonly answer: (view: AgentView, asked: Asked) => unknown;
}

/** More names than these help nobody who mistyped one. */
const MOST_NAMES = 20;

function route(path: string, summary: string, response: TSchema, answer: Route['answer']): Route {
  return { method: 'GET', path, summary, query: NO_QUERY, response, refusals: path.includes(':name') ? [404] : [], answer };
}

function notFound(what: string, name: string, names: readonly string[]): SfcError {
  const shown = names.slice(0, MOST_NAMES).join(', ');
  const left = names.length > MOST_NAMES ? ` and ${names.length - MOST_NAMES} more` : '';
  return new SfcError('NOT_FOUND', `no ${what} named ${name}; ${names.length === 0 ? 'there is none' : `there is ${shown}${left}`}`);
}

function pick<Item extends { readonly name: string }>(what: string, items: readonly Item[], name: string): Item {
  const found = items.find((item) => item.name === name);
  if (found !== undefined) return found;
  throw notFound(
    what,
    name,
    items.map((item) => item.name),
  );
}

const isMapName = (name: string): name is MapName => MAP_NAMES.some((known) => known === name);

export const ROUTES: readonly Route[] = [
  route('/healthz', 'The process answers.', okSchema, () => ({ ok: true })),
  {
    ...route('/readyz', 'The agent is ready: everything that the manifests ask for is programmed.', okSchema, (view) => {
      const { ready, notReady } = view.status();
      if (ready) return { ok: true };
      throw new SfcError('NOT_READY', notReady);
    }),
    refusals: [503],
  },
  route('/v1/status', 'The agent, its maps and its counters at a glance.', statusSchema, (view) => view.status()),
  route('/v1/maps', 'Every map: entries, capacity, pin path.', listOf(mapSchema), (view) => ({ items: view.maps() })),
  {
    ...route('/v1/maps/:name', "The entries of a map, in the map's own order.", mapPageSchema, (view, { name, limit }) => {
      if (!isMapName(name)) throw notFound('map', name, MAP_NAMES);
      return Readable.from(mapPageText(name, view.entries(name), limit ?? Number.POSITIVE_INFINITY));
    }),
    query: Type.Object(
      { limit: Type.Optional(Type.Integer({ minimum: 1, description: 'At most so many entries; without it, all of them.' })) },
      { additionalProperties: false },
    ),
  },
  route('/v1/chains', 'The service function chains.', listOf(chainSchema), (view) => ({ items: view.chains() })),
  route('/v1/chains/:name', 'One chain.', chainSchema, (view, { name }) => pick('chain', view.chains(), name)),
  route('/v1/selectors', 'The traffic selectors.', listOf(selectorSchema), (view) => ({ items: view.selectors() })),
  route('/v1/selectors/:name', 'One selector.', selectorSchema, (view, { name }) => pick('selector', view.selectors(), name)),
  route('/v1/endpoints', 'The pods of this node and their interfaces.', listOf(endpointSchema), (view) => ({ items: view.endpoints() })),
  route('/v1/services', 'The Service of each service function.', listOf(serviceSchema), (view) => ({ items: view.services() })),
  route('/v1/problems', 'What is wrong in the manifests.', listOf(problemSchema), (view) => ({ items: view.problems() })),
  route('/v1/conflicts', 'Selectors that claim the same traffic, and which wins.', listOf(conflictSchema), (view) => ({
    items: view.conflicts(),
  })),
  ...SANDBOX_ROUTES,
];
