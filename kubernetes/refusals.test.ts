import { describe, expect, it } from 'vitest';
import { refusal } from './refusals.js';
import { pathOf, RESOURCES } from './resources.js';

const listing = { verb: 'list', resource: RESOURCES.selectors, place: {} };

describe('what the API server refuses', () => {
  it('names the rule that is missing', () => {
    const error = refusal(listing, 403, { message: 'trafficselectors is forbidden: User "sfcd" cannot list it' });
    expect(error.code).toBe('KUBERNETES_FORBIDDEN');
    expect(error.message).toBe(
      'list networking.gke.io/v1 trafficselectors: trafficselectors is forbidden: User "sfcd" cannot list it; ' +
        'the rule that allows it: {"apiGroups":["networking.gke.io"],"resources":["trafficselectors"],"verbs":["list"]}',
    );
    const writing = { verb: 'patch', resource: RESOURCES.steeringNodes, place: { name: 'node1', subresource: 'status' } };
    expect(refusal(writing, 403).message).toContain('"resources":["steeringnodes/status"],"verbs":["patch"]');
  });

  it('has a code for each kind, and says how long the server wants to be left alone', () => {
    const codes = [400, 401, 404, 409, 410, 422, 429, 500, 503].map((status) => refusal(listing, status).code);
    expect(codes).toEqual([
      'KUBERNETES_REFUSED',
      'KUBERNETES_UNAUTHORIZED',
      'KUBERNETES_NOT_FOUND',
      'KUBERNETES_CONFLICT',
      'KUBERNETES_EXPIRED',
      'KUBERNETES_REFUSED',
      ...Array(3).fill('KUBERNETES_UNREACHABLE'),
    ]);
    expect(refusal(listing, 429, undefined, '3').retryAfterMs).toBe(3000);
    expect(refusal(listing, 429, { details: { retryAfterSeconds: 1 } }, '3').retryAfterMs).toBe(1000);
    expect(refusal(listing, 503, undefined, 'Wed, 21 Oct 2026 07:28:00 GMT').retryAfterMs).toBe(0);
  });
});

describe('paths', () => {
  it('are those of the API server', () => {
    expect([
      pathOf(RESOURCES.pods),
      pathOf(RESOURCES.pods, { namespace: 'vpn', name: 'vpn' }),
      pathOf(RESOURCES.chains, { name: 'firewall', subresource: 'status' }),
      pathOf(RESOURCES.endpointSlices, { namespace: 'a b' }),
    ]).toEqual([
      '/api/v1/pods',
      '/api/v1/namespaces/vpn/pods/vpn',
      '/apis/networking.gke.io/v1/servicefunctionchains/firewall/status',
      '/apis/discovery.k8s.io/v1/namespaces/a%20b/endpointslices',
    ]);
  });
});
