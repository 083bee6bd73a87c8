export * from './types.ts';
export type * from './view.ts';
