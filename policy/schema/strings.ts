/**
 * Strings with a syntax, as Kubernetes checks them (k8s.io/apimachinery, util/validation). Every
 * pattern is bounded, so that a hostile text of megabytes costs no more than a long one.
 *
 * `title` and `expected` are for error texts: "70000 is not a port; expected an integer …".
 */

import { type StringOptions, type TString, Type } from '@sinclair/typebox';
import { parseAddress, parseCidr } from '../../geneve/index.js';

const LABEL = '[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?';
const SUBDOMAIN = '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*';
const QUALIFIED = '([A-Za-z0-9][-A-Za-z0-9_.]{0,61})?[A-Za-z0-9]';

/** RFC 1123 label. */
export function dnsLabel(options: StringOptions): TString {
  return Type.String({
    maxLength: 63,
    pattern: `^${LABEL}$`,
    expected: 'up to 63 lower-case letters, digits and "-", with a letter or digit at both ends',
    ...options,
  });
}

/** RFC 1035 label: as above, but begins with a letter. */
export function dnsName(options: StringOptions): TString {
  return Type.String({
    maxLength: 63,
    pattern: '^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$',
    expected: 'up to 63 lower-case letters, digits and "-", beginning with a letter and ending with a letter or digit',
    ...options,
  });
}

/** RFC 1123 subdomain: the name of most resources. */
export function dnsSubdomain(options: StringOptions): TString {
  return Type.String({
    maxLength: 253,
    pattern: `^(?=.{1,253}$)${SUBDOMAIN}$`,
    expected: 'up to 253 lower-case letters, digits, "-" and ".", with a letter or digit at both ends of each part',
    ...options,
  });
}

export const labelKey = Type.String({
  title: 'label key',
  maxLength: 317,
  pattern: `^(?=[^/]{1,253}(/.{1,63})?$)(${SUBDOMAIN}/)?${QUALIFIED}$`,
  expected:
    'a name of up to 63 letters, digits, "-", "_" and ".", with a letter or digit at both ends, and before it a DNS name and "/" if need be',
});

export const labelValue = Type.String({
  title: 'label value',
  maxLength: 63,
  pattern: `^(${QUALIFIED})?$`,
  expected: 'a string of up to 63 letters, digits, "-", "_" and ".", with a letter or digit at both ends',
});

/** Labels by key. Unsafe: TypeBox's own Record would put the keys' syntax where a wrong key passes. */
export function labelMap(options: { readonly description: string; readonly minProperties?: number; readonly maxProperties?: number }) {
  return Type.Unsafe<Record<string, string>>({
    type: 'object',
    propertyNames: labelKey,
    additionalProperties: labelValue,
    ...options,
  });
}

/** One word of a few. Unsafe: CRDs take `enum`, not TypeBox's union of constants. */
export function choice<const T extends string>(words: readonly T[], options: StringOptions) {
  return Type.Unsafe<T>({ type: 'string', enum: words, ...options });
}

/** The two fields that say what a document is. */
export function typeFields<const V extends string, const K extends string>(apiVersion: V, kind: K) {
  return {
    apiVersion: choice([apiVersion], { title: 'apiVersion', description: 'API group and version of the kind.' }),
    kind: choice([kind], { title: 'kind', description: 'What the document describes.' }),
  };
}

/** No address text is longer: IPv6 with an IPv4 tail and a prefix length has 49 characters. */
const LONGEST_ADDRESS = 64;
const isAddress = (text: string) => text.length <= LONGEST_ADDRESS && parseAddress(text) !== undefined;

/** The formats that the schemas name; `cidr` is Kubernetes' own word for it. */
export const FORMATS: Readonly<Record<string, (text: string) => boolean>> = {
  cidr: (text) => text.length <= LONGEST_ADDRESS && parseCidr(text) !== undefined,
  // Kubernetes leaves an address out or empty until it is assigned.
  'ip-or-empty': (text) => text === '' || isAddress(text),
  'cluster-ip': (text) => text === '' || text === 'None' || isAddress(text),
};

export function cidr(options: StringOptions): TString {
  return Type.String({
    title: 'prefix',
    format: 'cidr',
    maxLength: LONGEST_ADDRESS,
    expected: 'ADDRESS/LENGTH, such as 10.0.0.0/8 or 2001:db8::/32',
    ...options,
  });
}

export function ip(options: StringOptions): TString {
  return Type.String({ title: 'address', format: 'ip-or-empty', expected: 'an IPv4 or IPv6 address', ...options });
}
