/** The steps of a plan, and what each does to the mirror. */

import type {
  EndpointValue,
  PeerKey,
  PeerValue,
  SfcpathValue,
  SfcportsKey,
  SfcportsValue,
  SfcselectKey,
  SfcselectValue,
} from '../../maps/index.js';
import { type BackendTable, type Observed, peerKeyText, portsKeyText, type Slice, selectKeyText } from './model.js';

interface Step {
  /** Unique in its plan, and the same in the next plan for the same wish: failures are remembered by it. */
  readonly id: string;
  /** Steps of the same plan without which this one must not be taken. */
  readonly needs: readonly string[];
}

/** Steps of one group are taken together or not at all. */
interface Grouped {
  readonly selector: string;
  readonly group: string;
}

export type Change = Step &
  (
    | { readonly kind: 'backends-fill'; readonly slice: Slice; readonly table: BackendTable }
    | { readonly kind: 'path-set'; readonly path: number; readonly value: SfcpathValue; readonly table: BackendTable }
    | { readonly kind: 'peer-set'; readonly key: PeerKey; readonly value: PeerValue }
    | { readonly kind: 'endpoint-set'; readonly ifindex: number; readonly value: EndpointValue }
    | (Grouped & { readonly kind: 'select-set'; readonly key: SfcselectKey; readonly value: SfcselectValue })
    | (Grouped & { readonly kind: 'ports-set'; readonly key: SfcportsKey; readonly value: SfcportsValue })
    | { readonly kind: 'ports-delete'; readonly key: SfcportsKey }
    | { readonly kind: 'select-delete'; readonly key: SfcselectKey }
    | { readonly kind: 'endpoint-delete'; readonly ifindex: number; readonly endpoint: number }
    | { readonly kind: 'path-delete'; readonly path: number }
    | { readonly kind: 'peer-delete'; readonly key: PeerKey }
    | { readonly kind: 'backends-free'; readonly slice: Slice }
  );

export const sliceText = (slice: Slice) => `${slice.base}+${slice.slots}`;

/** Takes the step in the mirror. */
export function applyToMirror(observed: Observed, change: Change): void {
  switch (change.kind) {
    case 'backends-fill':
      observed.filled.set(sliceText(change.slice), { slice: change.slice, table: change.table });
      return;
    case 'path-set': {
      const before = observed.paths.get(change.path);
      const slice = { base: change.value.backend_base, slots: change.value.backend_slots };
      observed.filled.delete(sliceText(slice));
      observed.paths.set(change.path, { value: change.value, table: change.table });
      const left = before === undefined ? '' : sliceText({ base: before.value.backend_base, slots: before.value.backend_slots });
      if (before !== undefined && left !== sliceText(slice)) leaveSlice(observed, before);
      return;
    }
    case 'path-delete': {
      const before = observed.paths.get(change.path);
      observed.paths.delete(change.path);
      if (before !== undefined) leaveSlice(observed, before);
      return;
    }
    case 'backends-free':
      observed.filled.delete(sliceText(change.slice));
      return;
    case 'peer-set':
      observed.peers.set(peerKeyText(change.key), { key: change.key, value: change.value });
      return;
    case 'peer-delete':
      observed.peers.delete(peerKeyText(change.key));
      return;
    case 'endpoint-set':
      observed.endpoints.set(change.ifindex, change.value);
      return;
    case 'endpoint-delete':
      observed.endpoints.delete(change.ifindex);
      return;
    case 'select-set':
      observed.selects.set(selectKeyText(change.key), { key: change.key, value: change.value });
      return;
    case 'ports-set':
      observed.ports.set(portsKeyText(change.key), { key: change.key, value: change.value });
      return;
    case 'ports-delete':
      observed.ports.delete(portsKeyText(change.key));
      return;
    case 'select-delete':
      observed.selects.delete(selectKeyText(change.key));
      return;
  }
}

/** The path is no longer among the observed with this slice. A slice that no path names any more still holds its table until it is freed: a packet may be reading it. */
function leaveSlice(observed: Observed, path: { readonly value: SfcpathValue; readonly table: BackendTable }): void {
  if (path.value.backend_slots === 0) return;
  for (const { value } of observed.paths.values()) {
    if (value.backend_slots > 0 && value.backend_base === path.value.backend_base) return; // shared with a path that stays
  }
  const slice = { base: path.value.backend_base, slots: path.value.backend_slots };
  observed.filled.set(sliceText(slice), { slice, table: path.table });
}
