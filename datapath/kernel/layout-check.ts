/**
 * Holds the compiled object to the layouts: struct sizes, field offsets and widths from its BTF
 * against `maps/layouts.ts`. Runs in the tests, and again before every load.
 */

import { SfcError } from '../../errors/index.js';
import { type Layout, MAPS } from '../../maps/index.js';
import { libbpf, type Pointer, readWords } from './libbpf.js';

const BTF_KIND_STRUCT = 4;
/** struct btf_type: name_off, info, size or type. */
const TYPE_WORDS = 3;
/** struct btf_member: name_off, type, offset in bits. */
const MEMBER_WORDS = 3;

interface Member {
  readonly name: string;
  readonly offset: number;
  readonly width: number;
}

function membersOf(btf: Pointer, type: Pointer): Member[] {
  const api = libbpf();
  const info = readWords(type, TYPE_WORDS)[1] ?? 0;
  const count = info & 0xffff;
  const words = readWords(type, TYPE_WORDS + count * MEMBER_WORDS).slice(TYPE_WORDS);
  return Array.from({ length: count }, (_, index) => {
    const [name = 0, id = 0, bits = 0] = words.slice(index * MEMBER_WORDS, index * MEMBER_WORDS + MEMBER_WORDS);
    return { name: String(api.btfNameByOffset(btf, name)), offset: bits / 8, width: Number(api.btfResolveSize(btf, id)) };
  });
}

function differences(btf: Pointer, layout: Layout): string[] {
  const api = libbpf();
  const id = Number(api.btfFindByNameKind(btf, layout.name, BTF_KIND_STRUCT));
  if (id < 0) return [`struct ${layout.name} is not in the object`];
  const type = api.btfTypeById(btf, id) as Pointer;
  const size = readWords(type, TYPE_WORDS)[2];
  const found: string[] = size === layout.size ? [] : [`struct ${layout.name} is ${size} bytes, expected ${layout.size}`];
  const members = new Map(membersOf(btf, type).map((member) => [member.name, member]));
  for (const field of layout.fields) {
    const member = members.get(field.name);
    members.delete(field.name);
    if (member === undefined) found.push(`${layout.name}.${field.name} is missing`);
    else if (member.offset !== field.offset || member.width !== field.width)
      found.push(`${layout.name}.${field.name} is ${member.width} bytes at ${member.offset}, expected ${field.width} at ${field.offset}`);
  }
  for (const name of members.keys()) found.push(`${layout.name}.${name} is not in the layout`);
  return found;
}

/** Every difference between an opened object's BTF and the layouts; array keys are plain integers and not checked. */
export function layoutDifferences(object: Pointer, layouts: readonly Layout[] = defaultLayouts()): string[] {
  const btf = libbpf().objectBtf(object) as Pointer | null;
  if (btf === null) return ['the object carries no BTF'];
  return layouts.flatMap((layout) => differences(btf, layout));
}

function defaultLayouts(): Layout[] {
  return Object.values(MAPS).flatMap((map) => (map.kind.endsWith('array') ? [map.value] : [map.key, map.value]));
}

/** Throws `LAYOUT_DRIFT` naming every difference at once. */
export function checkLayouts(object: Pointer): void {
  const found = layoutDifferences(object);
  if (found.length > 0) throw new SfcError('LAYOUT_DRIFT', found.join('; '));
}
