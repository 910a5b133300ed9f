export { IdKeeper, RECORD_NAME } from './keeper.js';
export { formatRecord, type IdRecord, LAST_ID, type Owner, parseRecord } from './record.js';
export { type ChainIdentity, type Refusal, type Settlement, settleIds } from './settle.js';
