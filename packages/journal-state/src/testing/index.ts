export * from './builders.ts';
export { JournalFixture, restoreFrom } from './fixture.ts';
export { ReferenceModel, plainConfigAt } from './model.ts';
export type { PlainConfig } from './model.ts';
export { PROPERTY_SCOPES, aimed, commandLogs, deltas } from './properties.ts';
