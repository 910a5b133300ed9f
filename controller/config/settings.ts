/** Every setting of `sfc-controller`, declared once. */

import { type Static, Type } from '@sinclair/typebox';
import { type DerivedDefault, describeSettings, type SettingSources, settle } from '../../settings/index.js';

const ms = (fallback: number, description: string) => Type.Integer({ minimum: 10, maximum: 3_600_000, default: fallback, description });

export const settingsSchema = Type.Object(
  {
    kubeconfig: Type.String({
      default: '',
      description: "File that says where the API server is, and who we are to it. Empty: the pod's service account.",
    }),
    namespace: Type.String({
      minLength: 1,
      default: 'sfc-system',
      description: 'Namespace of the lease, of the record of servicePathIds, and of the agents.',
    }),
    identity: Type.String({ minLength: 1, description: 'Name by which this process holds the lease, before a random part.' }),
    logLevel: Type.Union(
      ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'].map((level) => Type.Literal(level)),
      { default: 'info', description: 'Least severe level that is logged.' },
    ),
    httpAddress: Type.String({
      pattern: '^(\\[[0-9a-fA-F:.]+\\]|[^:\\s]*):[0-9]{1,5}$',
      default: ':8081',
      description: 'Address and TCP port at which `/healthz`, `/readyz` and `/metrics` are answered; without an address, at all of them.',
    }),
    pathIdRestSeconds: Type.Integer({
      minimum: 0,
      maximum: 604_800,
      default: 3600,
      description: 'Seconds for which the servicePathId of a deleted chain is given to no other.',
    }),
    serviceGraceSeconds: Type.Integer({
      minimum: 0,
      maximum: 86_400,
      default: 600,
      description:
        'Seconds for which the Service of a function that was taken out of its chain stays at most, while nodes have not programmed that yet.',
    }),
    parallel: Type.Integer({ minimum: 1, maximum: 64, default: 4, description: 'Chains and selectors that are looked at at once.' }),
    resyncSeconds: Type.Integer({
      minimum: 1,
      maximum: 86_400,
      default: 600,
      description: 'Seconds between looks at everything; changes are seen at once without them.',
    }),
    lease: Type.Object(
      {
        durationMs: ms(
          15_000,
          'Milliseconds after which another takes the lease of a controller that does not renew it; in whole seconds.',
        ),
        renewDeadlineMs: ms(10_000, 'Milliseconds without a renewal after which the leader gives up.'),
        retryMs: ms(2000, 'Milliseconds between two tries to take or renew the lease.'),
      },
      { additionalProperties: false, description: 'Leader election, with the meaning that client-go gives these times.' },
    ),
  },
  { additionalProperties: false },
);

/** Settings with everything decided. */
export type Settings = Readonly<Omit<Static<typeof settingsSchema>, 'logLevel'> & { logLevel: string }>;

const DERIVED_DEFAULTS: readonly DerivedDefault[] = [{ name: 'identity', text: 'host name', value: (_settled, host) => host.hostname }];

export const SETTINGS = describeSettings(settingsSchema, DERIVED_DEFAULTS);

/** client-go asks for the same: a leader must have given up before another may take over, and must have had some tries. */
function check(settled: ReadonlyMap<string, unknown>, whereOf: (name: string) => string): string[] {
  const of = (name: string) => Number(settled.get(`lease.${name}`));
  const problems: string[] = [];
  if (of('durationMs') <= of('renewDeadlineMs'))
    problems.push(`${whereOf('lease.durationMs')}: lease.durationMs must be longer than lease.renewDeadlineMs`);
  if (of('renewDeadlineMs') <= of('retryMs') * 1.2)
    problems.push(`${whereOf('lease.renewDeadlineMs')}: lease.renewDeadlineMs must be longer than 1.2 times lease.retryMs`);
  return problems;
}

/** @throws SfcError CONFIG_INVALID naming every wrong value and where it was given */
export function resolveSettings(sources: SettingSources): Settings {
  return settle({ schema: settingsSchema, derivedDefaults: DERIVED_DEFAULTS, check }, sources) as Settings;
}
