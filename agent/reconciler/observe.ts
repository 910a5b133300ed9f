/** The mirror of what the maps hold, read from them: at the start (adoption) and after trouble. */

import { mapCodecs, type SfcbackendValue, type TypedMaps } from '../../maps/index.js';
import { backendTable, emptyObserved, type Observed, peerKeyText, portsKeyText, selectKeyText } from './model.js';

const EMPTY_SLOT: SfcbackendValue = { address: new Uint8Array(16), family: 0 };

/** @throws SfcError MAP_IO */
export function observe(maps: TypedMaps): Observed {
  const observed = emptyObserved();
  const codecs = mapCodecs('sfcbackend');
  for (const [key, value] of maps.sfcselect.entries()) observed.selects.set(selectKeyText(key), { key, value });
  for (const [key, value] of maps.sfcports.entries()) observed.ports.set(portsKeyText(key), { key, value });
  for (const [key, value] of maps.endpoint.entries()) observed.endpoints.set(key.ifindex, value);
  for (const [key, value] of maps.peer.entries()) observed.peers.set(peerKeyText(key), { key, value });
  for (const [key, value] of maps.sfcpath.entries()) {
    // Thousands of slots, few instances: each is read as bytes, and made an object of once.
    const backends = new Map<string, SfcbackendValue>();
    const slots = Array.from({ length: value.backend_slots }, (_, index) => {
      const bytes = maps.sfcbackend.raw.get(codecs.key.encode({ slot: value.backend_base + index }));
      const text = bytes === undefined ? '' : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
      const shared = backends.get(text) ?? (bytes === undefined ? EMPTY_SLOT : codecs.value.decode(bytes));
      backends.set(text, shared);
      return shared;
    });
    observed.paths.set(key.path, { value, table: backendTable(slots) });
  }
  return observed;
}
