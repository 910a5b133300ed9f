import { join } from 'node:path';
import { PLUGIN_TYPE, type PluginEntry } from './install/configuration.js';
import { putConfiguration, takeConfiguration } from './install/directory.js';
import { type Keeper, keepInstalled } from './install/keeper.js';
import { installProgram, type ProgramSource, removeProgram } from './install/program.js';
import type { WhenAway } from './invocation.js';

export type { Keeper } from './install/keeper.js';

/** Where the plugin goes, and what it is told. */
export interface Installation {
  readonly binDirectory: string;
  readonly confDirectory: string;
  readonly socket: string;
  readonly runDirectory: string;
  readonly whenAway: WhenAway;
  readonly program: ProgramSource;
}

const entryOf = ({ socket, runDirectory, whenAway }: Installation): PluginEntry => ({
  type: PLUGIN_TYPE,
  socket,
  guardMark: join(runDirectory, 'guard'),
  whenAway,
});

/** The program before the configuration that names it. @returns what was done, in words. @throws SfcError CNI_INSTALL */
export function installCni(installation: Installation): string {
  const copied = installProgram(installation.binDirectory, installation.program);
  const { file, changed } = putConfiguration(installation.confDirectory, entryOf(installation));
  const words = [
    copied ? `${PLUGIN_TYPE} is in ${installation.binDirectory}` : '',
    changed ? `${file} has ${PLUGIN_TYPE} at its end` : '',
    file === undefined ? `${installation.confDirectory} has no network configuration yet` : '',
  ];
  return words.filter((one) => one !== '').join('; ');
}

/** Keeps it there from now on. */
export function keepCni(
  installation: Installation,
  tell: { readonly onPut: (what: string) => void; readonly onTrouble: (message: string) => void },
): Keeper {
  let program = false;
  return keepInstalled({
    directory: installation.confDirectory,
    put: () => {
      if (!program) installProgram(installation.binDirectory, installation.program);
      program = true;
      const { file, changed } = putConfiguration(installation.confDirectory, entryOf(installation));
      return changed ? `${file} has ${PLUGIN_TYPE} at its end` : '';
    },
    ...tell,
  });
}

/** The configuration first: nobody calls what is not there. @returns the files that named it. @throws SfcError CNI_INSTALL */
export function removeCni({ binDirectory, confDirectory }: Pick<Installation, 'binDirectory' | 'confDirectory'>): readonly string[] {
  const files = takeConfiguration(confDirectory);
  removeProgram(binDirectory);
  return files;
}
