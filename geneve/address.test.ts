import { describe, expect, it } from 'vitest';
import { formatAddress, parseAddress, parseCidr } from './index.js';

describe('addresses are read strictly', () => {
  it.each(['10.0.0.1', '0.0.0.0', '255.255.255.255'])('reads %s', (text) => {
    expect(parseAddress(text)).toMatchObject({ family: 1, text });
  });

  it.each(['010.0.0.1', '10.1', '0x7f.0.0.1', '256.0.0.1', '10.0.0.1 ', '', '1.2.3.4.5', 'fe80::1%eth0', '::g', '1:2:3'])(
    'refuses %j',
    (text) => {
      expect(parseAddress(text)).toBeUndefined();
    },
  );

  it('writes IPv6 as RFC 5952 asks', () => {
    expect(parseAddress('2001:DB8:0:0:1:0:0:1')?.text).toBe('2001:db8::1:0:0:1');
  });

  it('keeps an IPv4-mapped address IPv6', () => {
    expect(parseAddress('::ffff:10.0.0.1')?.family).toBe(2);
  });

  it('formats the bytes it parsed back to the same address', () => {
    const address = parseAddress('192.0.2.129');
    expect(address && formatAddress(address.bytes, address.family)).toBe('192.0.2.129');
  });
});

describe('prefixes are canonical before they become keys', () => {
  it('clears host bits and says that there were some', () => {
    expect(parseCidr('10.1.2.3/8')).toMatchObject({ text: '10.0.0.0/8', hostBits: true, prefixLength: 8 });
    expect(parseCidr('2001:db8::5/33')).toMatchObject({ text: '2001:db8::/33', hostBits: true });
    expect(parseCidr('0.0.0.0/0')).toMatchObject({ text: '0.0.0.0/0', hostBits: false });
  });

  it.each(['10.0.0.0', '10.0.0.0/33', '10.0.0.0/08', '10.0.0.0/-1', '::/129', '/8', '10.0.0.0/8/8'])('refuses %j', (text) => {
    expect(parseCidr(text)).toBeUndefined();
  });
});
