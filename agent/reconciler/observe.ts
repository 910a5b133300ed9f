/** The mirror of what the maps hold, read from them: at the start (adoption) and after trouble. */

import type { SfcbackendValue, TypedMaps } from '../../maps/index.js';
import { addressText, backendTable, emptyObserved, type Observed, peerKeyText, portsKeyText, selectKeyText } from './model.js';

const EMPTY_SLOT: SfcbackendValue = { address: new Uint8Array(16), family: 0 };

/** @throws SfcError MAP_IO */
export function observe(maps: TypedMaps): Observed {
  const observed = emptyObserved();
  for (const [key, value] of maps.sfcselect.entries()) observed.selects.set(selectKeyText(key), { key, value });
  for (const [key, value] of maps.sfcports.entries()) observed.ports.set(portsKeyText(key), { key, value });
  for (const [key, value] of maps.endpoint.entries()) observed.endpoints.set(key.ifindex, value);
  for (const [key, value] of maps.peer.entries()) observed.peers.set(peerKeyText(key), { key, value });
  for (const [key, value] of maps.sfcpath.entries()) {
    const backends = new Map<string, SfcbackendValue>();
    const slots = Array.from({ length: value.backend_slots }, (_, index) => {
      const slot = maps.sfcbackend.get({ slot: value.backend_base + index }) ?? EMPTY_SLOT;
      const text = addressText(slot);
      const shared = backends.get(text) ?? slot;
      backends.set(text, shared);
      return shared;
    });
    observed.paths.set(key.path, { value, table: backendTable(slots) });
  }
  return observed;
}
