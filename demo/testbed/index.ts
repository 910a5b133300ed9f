/** Network namespaces that stand for a small cluster, for the demo and for tests. */

export { SCHEMES } from './addresses.js';
export type {
  Attachment,
  Blueprint,
  BlueprintOptions,
  ClientBlueprint,
  NodeBlueprint,
  PodBlueprint,
  PodDraft,
  Role,
  ServerBlueprint,
} from './blueprint.js';
export { addressIn, blueprint, nodeNamed, podNamed } from './blueprint.js';
export type { BuildOptions, Testbed } from './build.js';
export { buildTestbed, describePlan } from './build.js';
export type { CastOptions } from './cast.js';
export { walkthroughCast } from './cast.js';
export type { Background, RunOptions, RunResult } from './command.js';
export { commandLine, inNamespace, namespaced, run, startInNamespace } from './command.js';
export { FAMILY_FORMS, type Families, type Family, type FamilyForm, familiesOf, familyOf, inFamily, TERMS } from './family.js';
export type { Cleaned } from './leftovers.js';
export { cleanLeftovers, mountsBelow } from './leftovers.js';
export { namespacesOf, planOf } from './plan.js';
export type { RequestResult, SeenRequest, Steady, SteadyCount, SteadyOrder, Transport } from './protocol.js';
export { recognise } from './protocol.js';
export type { Arrived, TalkChange, Talked, TalkOrder } from './talk.js';
export type { EchoServer, IperfOptions, IperfResult, RequestOptions, SteadyTraffic } from './traffic.js';
export { iperf, script, sendRaw, sendRequests, sendSegments, startEchoServer, startSteady } from './traffic.js';
