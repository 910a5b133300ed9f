/** The OpenAPI 3.1 document, from the route table: its schemas are the ones that serialise the answers. */

import { type TSchema, Type } from '@sinclair/typebox';
import { ROUTES, type Route } from './routes.js';
import { errorSchema } from './schemas.js';

type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };

/** Schemas with a title move to `components` and leave a reference. */
function referenced(schema: Json, components: Map<string, Json>): Json {
  if (Array.isArray(schema)) return schema.map((item) => referenced(item, components));
  if (typeof schema !== 'object' || schema === null) return schema;
  const parts = Object.fromEntries(Object.entries(schema).map(([key, part]) => [key, referenced(part, components)]));
  if (typeof parts.title !== 'string') return parts;
  components.set(parts.title, parts);
  return { $ref: `#/components/schemas/${parts.title}` };
}

/** A schema without the library's own marks (symbols). */
const plain = (schema: TSchema) => JSON.parse(JSON.stringify(schema)) as Json;

function parameters({ path, query }: Route): Json {
  const inPath = path.includes(':name') ? [{ name: 'name', in: 'path', required: true, schema: plain(Type.String()) }] : [];
  const inQuery = Object.entries(query.properties).map(([name, schema]) => ({ name, in: 'query', required: false, schema: plain(schema) }));
  return [...inPath, ...inQuery];
}

/** @param version of the agent */
export function openApiDocument(version: string): Json {
  const components = new Map<string, Json>();
  const content = (schema: TSchema): Json => ({ 'application/json': { schema: referenced(plain(schema), components) } });
  const refusal: Json = { description: 'Refused; `code` says why.', content: content(errorSchema) };
  const paths = ROUTES.map((route) => {
    const responses = {
      200: { description: route.summary, content: content(route.response) },
      ...Object.fromEntries([...route.refusals, 'default'].map((status) => [status, refusal])),
    };
    const body = route.body === undefined ? {} : { requestBody: { required: true, content: content(route.body) } };
    const operation = { summary: route.summary, parameters: parameters(route), ...body, responses };
    return [route.path.replace(':name', '{name}'), { [route.method.toLowerCase()]: operation }] as const;
  });
  const byPath = new Map<string, { readonly [method: string]: Json }>();
  for (const [path, operations] of paths) byPath.set(path, { ...byPath.get(path), ...operations });
  return {
    openapi: '3.1.0',
    info: {
      title: 'sfcd debug API',
      version,
      description: 'What one node agent knows, on a unix socket. A CNI plugin tells of sandboxes; everything else only reads.',
    },
    servers: [{ url: 'http://localhost', description: 'over the unix socket; the host counts for nothing' }],
    paths: Object.fromEntries(byPath),
    components: { schemas: Object.fromEntries([...components].sort(([a], [b]) => (a < b ? -1 : 1))) },
  };
}
