export * from './builders.ts';
export { JournalFixture, restoreFrom } from './fixture.ts';
export { ReferenceModel, plainConfigAt } from './model.ts';
export type { PlainConfig } from './model.ts';
export { PROPERTY_SCOPES, commandLogs, deltas } from './properties.ts';
