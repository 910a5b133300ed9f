/** `sfc bpf`: the maps as they are in the kernel. */

import { type Command, InvalidArgumentError, Option } from 'commander';
import type { MapView } from '../agent/view.js';
import type { ListBody, MapPage } from '../api/index.js';
import { MAP_NAMES, MAPS, type MapName } from '../maps/index.js';
import { backendShares, SHARE_COLUMNS } from './backend-shares.js';
import { paintFor } from './colour.js';
import type { Context } from './command.js';
import { type Format, formatOption, printItems } from './format.js';
import { writeLines } from './io.js';
import { inOrder, mapListing } from './map-columns.js';
import { type Column, tableLines } from './table.js';

const MAP_COLUMNS: readonly Column<MapView>[] = [
  { title: 'NAME', value: ({ name }) => name },
  { title: 'KIND', value: ({ kind }) => kind },
  { title: 'ENTRIES', value: ({ entries }) => entries },
  { title: 'CAPACITY', value: ({ capacity }) => capacity },
  { title: 'PIN PATH', value: ({ pinPath }) => pinPath },
];

async function listMaps({ io, client }: Context, format: Format): Promise<void> {
  const { items } = await client().get<ListBody<MapView>>('/v1/maps');
  if (format === 'table') writeLines(io.out, tableLines(MAP_COLUMNS, items));
  else printItems(io.out, format, items);
}

async function listEntries({ io, client }: Context, map: MapName, format: Format, limit: number | undefined): Promise<void> {
  const page = await client().get<MapPage>(`/v1/maps/${map}${limit === undefined ? '' : `?limit=${limit}`}`);
  const listing = mapListing(map, page.entries, io.clock.monotonic());
  const entries = inOrder(page.entries, listing);
  const paint = paintFor(io.out, io.environment);
  if (format !== 'table') printItems(io.out, format, entries);
  else
    writeLines(
      io.out,
      tableLines(listing.columns, entries, (line, entry) => (listing.marked?.(entry) === true ? paint.bad(line) : line)),
    );
  if (page.more) io.err.write(`sfc: ${map} has more entries than --limit ${limit}\n`);
}

/** The table of sfcbackend: its slots are read whole, and counted; a limit is one of lines. */
async function listShares({ io, client }: Context, limit: number | undefined): Promise<void> {
  const api = client();
  const paths = await api.get<MapPage>('/v1/maps/sfcpath');
  const backends = await api.get<MapPage>('/v1/maps/sfcbackend');
  const shares = backendShares(backends.entries, paths.entries);
  writeLines(io.out, tableLines(SHARE_COLUMNS, limit === undefined ? shares : shares.slice(0, limit)));
  if (limit !== undefined && shares.length > limit) io.err.write(`sfc: sfcbackend has more backends than --limit ${limit}\n`);
}

function wholeNumber(given: string): number {
  const value = Number(given);
  if (!/^\d+$/.test(given) || !Number.isSafeInteger(value) || value < 1)
    throw new InvalidArgumentError('It must be a whole number from 1 on.');
  return value;
}

export function addBpf(program: Command, context: Context): void {
  const bpf = program.command('bpf').description('list the maps and what is in them');
  bpf
    .command('list')
    .description('every map: entries, capacity, pin path')
    .addOption(formatOption())
    .action(({ output }: { output: Format }) => listMaps(context, output));
  for (const map of MAP_NAMES) {
    bpf
      .command(map)
      .description(MAPS[map].doc)
      .command('list')
      .description(map === 'sfcbackend' ? 'who has how many slots of a path; with -o json or yaml, the slots' : `the entries of ${map}`)
      .addOption(formatOption())
      .addOption(new Option('--limit <entries>', 'ask for no more than so many').argParser(wholeNumber))
      .action(({ output, limit }: { output: Format; limit?: number }) =>
        map === 'sfcbackend' && output === 'table' ? listShares(context, limit) : listEntries(context, map, output, limit),
      );
  }
}
