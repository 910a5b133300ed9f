/** `sfc get`: what the agent made of the manifests. */

import type { Command } from 'commander';
import type { ListBody } from '../api/index.js';
import { SfcError } from '../errors/index.js';
import { paintFor } from './colour.js';
import type { Context } from './command.js';
import { type Format, formatOption, printItems, printValue } from './format.js';
import { writeLines } from './io.js';
import type { Kind } from './kind.js';
import { eachKind } from './kinds.js';

async function find<Item>({ client }: Context, kind: Kind<Item>, name: string): Promise<Item> {
  if (kind.byName) return client().get<Item>(`${kind.path}/${encodeURIComponent(name)}`);
  const { items } = await client().get<ListBody<Item>>(kind.path);
  const found = items.filter((item) => kind.names?.(item).includes(name));
  const [first] = found;
  if (first !== undefined && found.length === 1) return first;
  const called = (of: readonly Item[]) => of.map((item) => kind.names?.(item)[0]).join(', ');
  if (found.length > 1) throw new SfcError('USAGE', `several ${kind.plural} are named ${name}: ${called(found)}`);
  const others = items.length === 0 ? 'there is none' : `there is ${called(items)}`;
  throw new SfcError('NOT_FOUND', `no ${kind.singular} named ${name}; ${others}`);
}

async function getOne<Item>(context: Context, kind: Kind<Item>, name: string, format: Format): Promise<void> {
  const { out, environment } = context.io;
  const item = await find(context, kind, name);
  if (format !== 'table') {
    printValue(out, format, kind.data(item));
    return;
  }
  const paint = paintFor(out, environment);
  writeLines(out, kind.lines([item], paint));
  writeLines(out, kind.details(item, paint));
}

async function getAll<Item>({ io, client }: Context, kind: Kind<Item>, format: Format): Promise<void> {
  const { items } = await client().get<ListBody<Item>>(kind.path);
  if (format === 'table') {
    // As kubectl does: nothing on the output that a script could take for an item.
    if (items.length === 0) io.err.write(`no ${kind.plural}\n`);
    else writeLines(io.out, kind.lines(items, paintFor(io.out, io.environment)));
  } else if (kind.isResource) printValue(io.out, format, { apiVersion: 'v1', kind: 'List', items: items.map(kind.data) });
  else printItems(io.out, format, items.map(kind.data));
}

export function addGet(program: Command, context: Context): void {
  const get = program.command('get').description('show what the agent made of the manifests');
  eachKind((kind) => {
    const command = get.command(kind.plural).alias(kind.singular).description(kind.description).addOption(formatOption());
    if (kind.names === undefined) command.action(({ output }: { output: Format }) => getAll(context, kind, output));
    else {
      command
        .argument('[name]', `one ${kind.singular}; without it, all of them`)
        .action((name: string | undefined, { output }: { output: Format }) =>
          name === undefined ? getAll(context, kind, output) : getOne(context, kind, name, output),
        );
    }
  });
}
