/** What the chart lets its users set: each value with the places of deploy/base that it stands at. */

/** Where a value stands: the kind and name of a resource, and the path to a field of it. */
export interface Place {
  readonly kind: string;
  readonly name: string;
  readonly path: readonly (string | number)[];
}

export interface Value {
  /** `agent.resources`; its default is what deploy/base has there. */
  readonly name: string;
  readonly doc: string;
  readonly places: readonly Place[];
  /**
   * How it stands there. `text`: a string in quotes; `yaml`: whatever it is; `document`: YAML within a text;
   * `image`: the field has repository and tag, and `name` is the mapping of both.
   */
  readonly as: 'text' | 'yaml' | 'document' | 'image';
}

const POD = ['spec', 'template', 'spec'] as const;
const CONTAINER = [...POD, 'containers', 0] as const;
const agent = (...path: Place['path']): Place => ({ kind: 'DaemonSet', name: 'sfcd', path });
const controller = (...path: Place['path']): Place => ({ kind: 'Deployment', name: 'sfc-controller', path });

function value(name: string, as: Value['as'], doc: string, ...places: readonly Place[]): Value {
  return { name, as, doc, places };
}

export const VALUES: readonly Value[] = [
  value('image', 'image', 'Where the image is.', agent(...CONTAINER, 'image'), controller(...CONTAINER, 'image')),
  value(
    'imagePullPolicy',
    'text',
    'When it is fetched.',
    agent(...CONTAINER, 'imagePullPolicy'),
    controller(...CONTAINER, 'imagePullPolicy'),
  ),
  value(
    'imagePullSecrets',
    'yaml',
    'Secrets to fetch it with: a list of {name}.',
    agent(...POD, 'imagePullSecrets'),
    controller(...POD, 'imagePullSecrets'),
  ),
  value('agent.settings', 'document', 'Settings of sfcd: docs/reference/configuration.md has them all.', {
    kind: 'ConfigMap',
    name: 'sfcd',
    path: ['data', 'sfcd.yaml'],
  }),
  value('agent.env', 'yaml', 'Environment of sfcd. Settings given here win over `settings`.', agent(...CONTAINER, 'env')),
  value('agent.resources', 'yaml', 'BPF maps count as memory of the agent.', agent(...CONTAINER, 'resources')),
  value('agent.securityContext', 'yaml', 'What the agent may do on its node.', agent(...CONTAINER, 'securityContext')),
  value('agent.nodeSelector', 'yaml', 'Nodes that have an agent.', agent(...POD, 'nodeSelector')),
  value('agent.tolerations', 'yaml', 'Taints that it does not mind.', agent(...POD, 'tolerations')),
  value('agent.priorityClassName', 'text', 'Priority of its pods.', agent(...POD, 'priorityClassName')),
  value('agent.updateStrategy', 'yaml', 'How a new version comes to the nodes.', agent('spec', 'updateStrategy')),
  value('controller.replicas', 'yaml', 'One leads, the others wait.', controller('spec', 'replicas')),
  value('controller.env', 'yaml', 'Environment of sfc-controller: its settings.', controller(...CONTAINER, 'env')),
  value('controller.resources', 'yaml', 'Resources of the controller.', controller(...CONTAINER, 'resources')),
  value('controller.nodeSelector', 'yaml', 'Nodes that it may run on.', controller(...POD, 'nodeSelector')),
  value('controller.tolerations', 'yaml', 'Taints that it does not mind.', controller(...POD, 'tolerations')),
  value('controller.affinity', 'yaml', 'Where its pods had rather be.', controller(...POD, 'affinity')),
  value('controller.priorityClassName', 'text', 'Priority of its pods.', controller(...POD, 'priorityClassName')),
];
