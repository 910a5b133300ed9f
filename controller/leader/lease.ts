/**
 * Who leads, by a Lease (coordination.k8s.io/v1), with the rules of client-go's leaderelection: a lease is free when nobody
 * holds it, or when this process has seen no change of it for its whole duration. The times in it are for people: no two
 * clocks are compared. Pure.
 */

import type { KubernetesObject } from '../../kubernetes/index.js';

export interface LeaseObject extends KubernetesObject {
  readonly spec?: {
    /** Empty or absent: released. */
    readonly holderIdentity?: string | undefined;
    readonly leaseDurationSeconds?: number;
    /** MicroTime: six digits behind the point. */
    readonly acquireTime?: string;
    readonly renewTime?: string;
    readonly leaseTransitions?: number;
  };
}

export interface LeaseTimes {
  /** Others take a lease that has not changed for so long. */
  readonly durationMs: number;
  /** The leader gives up when it could not renew for so long: before others may take over. */
  readonly renewDeadlineMs: number;
  /** Between two tries. */
  readonly retryMs: number;
}

/** A version of the lease, and when this process saw it first (monotonic, ms). */
export interface Sight {
  readonly version: string;
  readonly at: number;
}

/** The sight is renewed where the lease has changed. */
export function look(before: Sight | undefined, lease: LeaseObject | undefined, now: number): Sight {
  const version = lease?.metadata.resourceVersion ?? '';
  return before !== undefined && before.version === version ? before : { version, at: now };
}

/** May this process take or renew the lease? */
export function mayTake(lease: LeaseObject | undefined, identity: string, sight: Sight, now: number): boolean {
  const holder = lease?.spec?.holderIdentity ?? '';
  if (holder === '' || holder === identity) return true;
  const durationMs = (lease?.spec?.leaseDurationSeconds ?? 0) * 1000;
  return now >= sight.at + durationMs;
}

/** RFC 3339 with microseconds, as MicroTime is written. */
export function microTime(wall: Date): string {
  return wall.toISOString().replace('Z', '000Z');
}

/** The lease, held by this process; made where there is none. */
export function held(lease: LeaseObject | undefined, identity: string, { durationMs }: LeaseTimes, wall: Date) {
  const before = lease?.spec ?? {};
  const goesOn = before.holderIdentity === identity;
  const now = microTime(wall);
  return {
    holderIdentity: identity,
    // Whole seconds, one at least; up, so that nobody else counts less than we do.
    leaseDurationSeconds: Math.max(1, Math.ceil(durationMs / 1000)),
    acquireTime: goesOn ? (before.acquireTime ?? now) : now,
    renewTime: now,
    // client-go: a lease that is made counts none.
    leaseTransitions: (before.leaseTransitions ?? 0) + (goesOn || lease === undefined ? 0 : 1),
  };
}

/** The lease, held by nobody, for the next to take at once. */
export function released(lease: LeaseObject, wall: Date) {
  const now = microTime(wall);
  return {
    holderIdentity: '',
    leaseDurationSeconds: 1,
    acquireTime: now,
    renewTime: now,
    leaseTransitions: lease.spec?.leaseTransitions ?? 0,
  };
}
