/** What the manifests ask of the allocator, and its answer as policy asks for it. Pure. */

import { type AddressFamily, parseAddress } from '../geneve/index.js';
import {
  type Chain,
  type CompileInput,
  functionPods,
  type Problem,
  type ServiceFunction,
  type Spi,
  serviceKey,
  type World,
} from '../policy/index.js';
import type { Allocation, AllocationRequest } from './allocation/index.js';

/** The family that the primary addresses of a function's pods are all of. */
function familyOf(world: World, chain: Chain, serviceFunction: ServiceFunction): AddressFamily | undefined {
  const families = new Set(functionPods(world, chain, serviceFunction).flatMap(({ addresses: [primary] }) => primary?.family ?? []));
  return families.size === 1 ? [...families][0] : undefined;
}

export function allocationRequest(world: World): AllocationRequest {
  const services = new Map(world.services.map((service) => [`${service.namespace}/${service.name}`, service.clusterIP?.text]));
  const functions = new Map(
    world.chains.flatMap((chain) => chain.serviceFunctions.map((one) => [serviceKey(chain, one), { chain, one }] as const)),
  );
  return {
    chains: world.chains.map(({ name, servicePathId }) => ({ name, given: servicePathId })),
    services: [...functions].map(([key, { chain, one }]) => ({
      key,
      given: services.get(key),
      family: familyOf(world, chain, one),
    })),
    reserved: [...services].flatMap(([key, address]) => (address === undefined || functions.has(key) ? [] : [address])),
  };
}

export interface AllocationLookup {
  readonly allocations: CompileInput['allocations'];
  /** Chains that got no path of their own, with the reason. */
  readonly problems: readonly Problem[];
}

/** Where two chains name the same servicePathId, the first by name has it and the others are not steered to. */
export function allocationLookup(world: World, allocation: Allocation): AllocationLookup {
  const owners = new Map<number, string>();
  const problems: Problem[] = [];
  for (const name of world.chains.map((chain) => chain.name).sort()) {
    const id = allocation.servicePathIds.get(name);
    if (id === undefined) continue;
    const owner = owners.get(id);
    if (owner === undefined) owners.set(id, name);
    else {
      problems.push({
        severity: 'error',
        file: '',
        document: 0,
        line: 0,
        resource: `ServiceFunctionChain/${name}`,
        path: 'status.servicePathId',
        message: `servicePathId ${id} already belongs to ServiceFunctionChain ${owner}`,
        hint: 'Give each chain an id of its own, or leave the field out to have one assigned.',
      });
    }
  }
  const chains = new Map(world.chains.map((chain) => [chain.name, chain]));
  const spiOf = (chain: string) => {
    const id = allocation.servicePathIds.get(chain);
    return id !== undefined && owners.get(id) === chain ? (id as Spi) : undefined;
  };
  return {
    problems,
    allocations: {
      spiOf,
      serviceAddressOf(chainName, functionName) {
        const chain = chains.get(chainName);
        const serviceFunction = chain?.serviceFunctions.find(({ name }) => name === functionName);
        if (chain === undefined || serviceFunction === undefined) return undefined;
        const text = allocation.serviceAddresses.get(serviceKey(chain, serviceFunction));
        return text === undefined ? undefined : parseAddress(text);
      },
    },
  };
}
