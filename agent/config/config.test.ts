import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { SfcError } from '../../errors/index.js';
import type { SettingSources } from '../../settings/index.js';
import { parseCommandLine } from './command.js';
import { configurationReference } from './reference.js';
import { resolveSettings } from './resolve.js';
import { SETTINGS } from './settings.js';

const host = { hostname: 'node-two' };
const resolve = (sources: Partial<SettingSources>) =>
  resolveSettings({ flags: { manifests: '/etc/sfc' }, environment: {}, host, ...sources });

function refusal(action: () => unknown): SfcError {
  try {
    action();
  } catch (error) {
    if (error instanceof SfcError) return error;
    throw error;
  }
  throw new Error('nothing was refused');
}

describe('settings', () => {
  it('fall back to their defaults, some of which follow other settings', () => {
    const settings = resolve({ flags: { manifests: '/etc/sfc', runDir: '/tmp/run' } });
    expect(settings).toMatchObject({
      nodeName: 'node-two',
      pinDir: '/tmp/run/bpf',
      socket: '/tmp/run/sfcd.sock',
      allocations: '/var/lib/sfc/allocations.json',
      port: 7081,
      maps: { sfcselect: 16384 },
    });
  });

  it('take the flag before the environment before the file', () => {
    const file = { name: 'sfcd.yaml', text: 'port: 1\nlogLevel: debug\nnodeName: from-file\n' };
    const environment = { SFC_PORT: '2', SFC_LOG_LEVEL: 'warn' };
    const settings = resolve({ flags: { manifests: '/m', port: '3' }, environment, file });
    expect(settings).toMatchObject({ port: 3, logLevel: 'warn', nodeName: 'from-file' });
  });

  it('read nested capacities from every source', () => {
    const file = { name: 'f', text: 'maps: { sfcselect: 100, peer: 100, sfcpath: 100 }' };
    const settings = resolve({ flags: { manifests: '/m', 'maps.sfcpath': '300' }, environment: { SFC_MAPS_PEER: '200' }, file });
    expect(settings.maps).toMatchObject({ sfcselect: 100, peer: 200, sfcpath: 300 });
  });

  it('name the nearest setting for an unknown one, with its line', () => {
    const error = refusal(() => resolve({ file: { name: 'sfcd.yaml', text: 'port: 7081\nlogLevle: info\nmaps:\n  sfcselct: 20\n' } }));
    expect(error.code).toBe('CONFIG_INVALID');
    expect(error.message).toContain('sfcd.yaml line 2: unknown setting logLevle; did you mean logLevel?');
    expect(error.message).toContain('sfcd.yaml line 4: unknown setting maps.sfcselct; did you mean maps.sfcselect?');
  });

  it('take one range of service addresses, or one of each family', () => {
    const cidr = (serviceCidr: string) => resolve({ flags: { manifests: '/m', serviceCidr } });
    expect(cidr('fd00:96::/112,10.96.0.0/16').serviceCidr).toBe('fd00:96::/112,10.96.0.0/16');
    expect(refusal(() => cidr('fd00::/112,fd01::/112')).message).toBe(
      '--service-cidr: serviceCidr fd00::/112,fd01::/112 has two ranges of IPv6, and may have one of each family',
    );
    expect(refusal(() => cidr('ten')).message).toContain('--service-cidr: serviceCidr ten is neither');
  });

  it('report every wrong value at once, with where it was given', () => {
    const error = refusal(() =>
      resolve({ flags: { manifests: '/m', port: '70000' }, environment: { SFC_RESET_PINS: 'yes', SFC_LOG_LEVEL: 'loud' } }),
    );
    expect(error.message).toContain('--port: port must be <= 65535, not 70000');
    expect(error.message).toContain('SFC_RESET_PINS: resetPins must be boolean, not "yes"');
    expect(error.message).toContain('SFC_LOG_LEVEL: logLevel must be one of trace, debug');
  });

  it('need a manifest directory', () => {
    expect(refusal(() => resolve({ flags: {} })).message).toContain('manifests is required: give --manifests, SFC_MANIFESTS');
  });

  it('name the datapaths that there are', () => {
    const error = refusal(() => resolve({ environment: { SFC_MANIFESTS: '/m', SFC_DATAPATH: 'hardware' } }));
    expect(error.message).toBe('SFC_DATAPATH: datapath must be one of auto, kernel, userspace, not "hardware"');
  });

  it('refuse a socket path that the kernel would cut', () => {
    expect(refusal(() => resolve({ flags: { manifests: '/m', runDir: `/tmp/${'x'.repeat(100)}` } })).message).toContain('107 bytes');
  });
});

describe('the command line', () => {
  it('shows every setting with its default and its environment name in --help', () => {
    const help = (parseCommandLine(['--help'], {}, '1.2.3').print ?? '').replace(/\s+/g, ' ');
    for (const setting of SETTINGS) {
      expect(help).toContain(setting.flag);
      expect(help).toContain(`default: ${setting.defaultText}; env ${setting.environment}`);
    }
  });

  it('gives flags by setting name', () => {
    const line = parseCommandLine(
      ['--maps-sfcselect', '99', '--reset-pins', '--manifests=/m', '--print-config'],
      { SFC_CONFIG: '/c' },
      '1',
    );
    expect(line).toEqual({
      flags: { 'maps.sfcselect': '99', resetPins: 'true', manifests: '/m' },
      configFile: '/c',
      printConfig: true,
      remove: false,
      installCni: false,
      hold: false,
      print: undefined,
    });
  });

  it('refuses what it does not know', () => {
    expect(refusal(() => parseCommandLine(['--prot', '1'], {}, '1')).message).toContain("unknown option '--prot'");
  });
});

describe('the configuration page', () => {
  it('is what the schema generates', () => {
    const page = readFileSync(new URL('../../docs/reference/configuration.md', import.meta.url), 'utf8');
    expect(page).toBe(configurationReference());
  });
});
