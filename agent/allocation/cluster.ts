/**
 * In a cluster nothing is given out here: the controller writes a chain's servicePathId into its status, and makes the
 * Services that give functions their addresses. A chain without an id is not steered to yet. A function whose Service is
 * missing keeps its path without instances, with the unspecified address: what is selected must not go on past it.
 */

import type { Allocations } from './allocations.js';

export const NO_SERVICE_YET = '0.0.0.0';

export function clusterAllocations(): Allocations {
  return {
    async allocate({ chains, services }) {
      const given = chains.flatMap(({ name, given }) => (given === undefined ? [] : [[name, given] as const]));
      return {
        servicePathIds: new Map(given),
        serviceAddresses: new Map(services.map(({ key, given }) => [key, given ?? NO_SERVICE_YET])),
      };
    },
  };
}
