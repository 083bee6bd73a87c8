/** Everything of package pact.journal: the fielded service and this project's own. */
export * from './gen/pact/journal.ts';
export * from './gen/pact/journal_admin.ts';
