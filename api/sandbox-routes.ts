/** Where a CNI plugin tells of sandboxes: the only requests that change something. Who may open the socket may send them. */

import { type TObject, Type } from '@sinclair/typebox';
import type { SandboxTold } from '../agent/view.js';
import { SfcError } from '../errors/index.js';
import type { Asked, Route } from './routes.js';
import { listOf, NO_QUERY, okSchema, sandboxSchema, sandboxToldSchema } from './schemas.js';

/** A container ID as the CNI specification has it. The agent makes a file name of it. */
const ID = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;
/** With what the agent puts around it, a file name has at most 255 bytes. */
const LONGEST_ID = 200;

const interfaceQuery: TObject = Type.Object(
  { interface: Type.String({ minLength: 1, description: 'The interface inside the sandbox.' }) },
  { additionalProperties: false },
);

function idOf({ name }: Asked): string {
  if (ID.test(name) && name.length <= LONGEST_ID) return name;
  throw new SfcError('BAD_REQUEST', `${JSON.stringify(name.slice(0, LONGEST_ID))} is no container ID`);
}

const path = '/v1/sandboxes/:name';

export const SANDBOX_ROUTES: readonly Route[] = [
  {
    method: 'GET',
    path: '/v1/sandboxes',
    summary: "The pods' network namespaces that a CNI plugin has told of.",
    query: NO_QUERY,
    response: listOf(sandboxSchema),
    refusals: [],
    answer: ({ sandboxes }) => ({ items: sandboxes.list() }),
  },
  {
    method: 'GET',
    path,
    summary: 'One of them, and what is missing there.',
    query: interfaceQuery,
    response: sandboxSchema,
    refusals: [404],
    answer: ({ sandboxes }, asked) => {
      const found = sandboxes.list().find(({ id }) => id === asked.name);
      if (found !== undefined) return found;
      throw new SfcError('NOT_FOUND', `no sandbox ${asked.name} was told of`);
    },
  },
  {
    method: 'PUT',
    path,
    summary: "A sandbox has its interface. Answers when its pod's entries and programs are in place.",
    query: interfaceQuery,
    body: sandboxToldSchema,
    response: sandboxSchema,
    refusals: [400, 504],
    answer: ({ sandboxes }, asked) => {
      const { waitMs, ...told } = asked.body as Omit<SandboxTold, 'interface'> & { readonly waitMs: number };
      return sandboxes.tell(idOf(asked), { ...told, interface: asked.interface }, waitMs);
    },
  },
  {
    method: 'DELETE',
    path,
    summary: 'A sandbox, or that interface of it, is gone. One that nobody told of is fine.',
    query: interfaceQuery,
    response: okSchema,
    refusals: [400],
    answer: ({ sandboxes }, asked) => {
      sandboxes.forget(idOf(asked), asked.interface);
      return { ok: true };
    },
  },
];
