import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { ANY_IPV4 } from '../destinations.js';
import { told } from './cast.js';
import { validateManifests } from './check.js';
import { parseManifests } from './parse.js';

const files = ['service_function.yaml', 'ServiceFunctionChain.yaml', 'TrafficSelector.yaml'].map((file) => ({
  file,
  text: readFileSync(new URL(`../../demo/manifests/walkthrough/${file}`, import.meta.url), 'utf8'),
}));
const is = (key: string, value: string) => ({ requirements: [{ key, operator: 'In', values: [value] }] });
const PORTS = [
  { protocol: 17, port: 0 },
  { protocol: 6, port: 0 },
];

describe("the walkthrough's manifests", () => {
  const { world, documents } = parseManifests(files);

  it('are good but for the labels that stand without matchLabels', () => {
    expect(told(validateManifests(files).problems)).toEqual([
      'warning TrafficSelector.yaml#2:36 TrafficSelector/firewall-to-proxy spec.subject.pods.namespaceSelector: labels stand directly under namespaceSelector; read as matchLabels',
      'warning TrafficSelector.yaml#2:38 TrafficSelector/firewall-to-proxy spec.subject.pods.podSelector: labels stand directly under podSelector; read as matchLabels',
    ]);
    expect(documents).toBe(7);
  });

  it('define two chains of one function', () => {
    expect(world.chains).toMatchObject([
      {
        name: 'firewall',
        affinityTimeout: 3600,
        serviceFunctions: [{ name: 'firewall', namespace: 'firewall', podSelector: is('app', 'firewall') }],
      },
      {
        name: 'proxy',
        affinityTimeout: 10_800,
        serviceFunctions: [{ name: 'proxy', namespace: 'proxy', podSelector: is('app', 'proxy') }],
      },
    ]);
  });

  it('send all that the vpn pod sends to the firewall, and all that the firewall sends to the proxy', () => {
    expect(world.selectors).toMatchObject([
      {
        name: 'vpn-to-firewall',
        chain: 'firewall',
        namespaceSelector: is('kubernetes.io/metadata.name', 'vpn'),
        podSelector: is('app', 'vpn'),
        rules: [{ direction: 'egress', cidr: ANY_IPV4, except: [], ports: PORTS }],
      },
      {
        name: 'firewall-to-proxy',
        chain: 'proxy',
        namespaceSelector: is('kubernetes.io/metadata.name', 'firewall'),
        podSelector: is('app', 'firewall'),
        rules: [{ direction: 'egress', cidr: ANY_IPV4, except: [], ports: PORTS }],
      },
    ]);
  });

  it('name the vpn pod, and leave its Deployment and DaemonSet alone', () => {
    expect(world.pods).toMatchObject([{ namespace: 'vpn', name: 'vpn', labels: { app: 'vpn' } }]);
  });
});
