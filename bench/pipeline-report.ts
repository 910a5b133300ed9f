/** The pipeline's figures as a table. */

import { measurePipeline, type PipelineFigures, type PipelineOptions, ROWS } from './pipeline.js';
import { rowsOf } from './row.js';

const FIRST_COLUMN = 18;
const COLUMN = 21;

const row = rowsOf(FIRST_COLUMN, COLUMN);

export function pipelineReport(options: PipelineOptions, onProgress: (done: number, of: number) => void): string {
  const figures = measurePipeline(options, onProgress);
  const column = (cell: (one: PipelineFigures) => string) => figures.map(cell);
  return [
    `ns a packet in the userspace pipeline, median (quartiles) of ${options.rounds} batches of ${options.packets}; no device is read or written`,
    row(
      'selectors',
      column(({ selectors }) => String(selectors)),
    ),
    row(
      'known flows',
      column(({ flows }) => String(flows)),
    ),
    ...ROWS.map((name) =>
      row(
        name,
        column(({ ns }) => `${ns[name].median.toFixed(0)} (${ns[name].low.toFixed(0)}–${ns[name].high.toFixed(0)})`),
      ),
    ),
    'bytes allocated a packet',
    ...ROWS.map((name) =>
      row(
        name,
        column(({ allocated }) => allocated[name].toFixed(0)),
      ),
    ),
  ].join('\n');
}
