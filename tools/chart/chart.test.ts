import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { chartFiles } from './index.js';
import { template } from './templates.js';
import { VALUES } from './values.js';

const base = new Map(
  readdirSync('deploy/base')
    .filter((name) => name !== 'kustomization.yaml')
    .map((name) => [name, readFileSync(`deploy/base/${name}`, 'utf8')]),
);
const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
const source = { version, base, crds: new Map<string, string>() };
const without = (name: string, what: string) => ({ ...source, base: new Map([...base, [name, base.get(name)?.replace(what, '') ?? '']]) });

describe('the chart', () => {
  it('has an expression for every value, and nothing left of the namespace that the manifests name', () => {
    const texts = chartFiles(source).filter(({ path }) => path.includes('templates/'));
    const all = texts.map(({ text }) => text).join('');
    for (const { name } of VALUES) expect(all).toContain(`.Values.${name}`);
    expect(all).not.toContain('sfc-system');
    expect(all).not.toContain('VALUE-');
  });

  it('is refused where a declared place is not there', () => {
    expect(() => chartFiles(without('agent.yaml', '      priorityClassName: system-node-critical\n'))).toThrow(
      'agent.priorityClassName: DaemonSet/sfcd has no spec.template.spec.priorityClassName',
    );
  });

  it('is refused where two places of one value differ', () => {
    expect(() => chartFiles(without('controller.yaml', 'IfNotPresent'))).toThrow('imagePullPolicy has several defaults');
  });

  it('is of the version that package.json has', () => {
    expect(() => chartFiles({ ...source, version: '9.9.9' })).toThrow('deploy/base names the image of version');
  });

  it('leaves what has no value as it is', () => {
    const text = '# why\nkind: ConfigMap\nmetadata:\n  name: other\ndata:\n  a: [1, 2]\n';
    expect(template(text, VALUES, new Map())).toBe(text);
    expect(() => template('a: "{{ b }}"\n', VALUES, new Map())).toThrow('which Helm would read');
  });

  it('changes no resource but where a value stands', () => {
    for (const [name, text] of base) {
      const plain = template(text, [], new Map())
        .replaceAll('{{ .Release.Namespace | quote }}', 'sfc-system')
        .replaceAll('{{ .Release.Namespace }}', 'sfc-system');
      const read = (yaml: string) => parseAllDocuments(yaml).map((document) => document.toJSON());
      expect(read(plain), name).toEqual(read(text));
    }
  });
});
