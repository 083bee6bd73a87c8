/**
 * The direction of imports. Arrows point down only:
 *
 *   journal-server -> { boot-stream, raft-grpc, wal-storage, journal-client }
 *                  -> { overlay-builder, raft-core, journal-proto } -> journal-state
 *
 * raft-core and journal-state know nothing of anybody: the server adapts one to the other.
 */

/** Package -> the workspace packages it may import. */
const MAY_IMPORT = {
  'raft-core': [],
  'journal-state': [],
  'journal-proto': ['journal-state'],
  'overlay-builder': ['journal-state'],
  'raft-grpc': ['raft-core'],
  'wal-storage': ['raft-core'],
  'boot-stream': ['overlay-builder', 'journal-proto', 'journal-state'],
  'journal-client': ['journal-proto', 'journal-state'],
};

const directions = Object.entries(MAY_IMPORT).map(([name, allowed]) => ({
  name: `${name}-imports-only-what-is-below-it`,
  severity: 'error',
  from: { path: `^packages/${name}/src/` },
  to: { path: '^(packages|apps)/', pathNot: [name, ...allowed].map((other) => `^packages/${other}/`) },
}));

const onlyOnNode = '^packages/journal-state/src/node/';

/** Folders without promises, timers, clock, randomness and Node: they may not even import from outside. */
const pure = [
  {
    name: 'raft-core-is-self-contained',
    comment: 'The consensus core imports nothing but its own files.',
    severity: 'error',
    from: { path: '^packages/raft-core/src/core/' },
    to: { pathNot: '^packages/raft-core/src/core/' },
  },
  {
    name: 'raft-core-has-no-dependencies',
    severity: 'error',
    from: { path: '^packages/raft-core/src/' },
    to: { pathNot: '^packages/raft-core/src/' },
  },
  {
    name: 'journal-state-is-pure',
    comment:
      'The state machine imports no Node module and no native code: it must run anywhere, the same everywhere.',
    severity: 'error',
    from: { path: '^packages/journal-state/src/', pathNot: onlyOnNode },
    to: { dependencyTypes: ['core'] },
  },
  {
    name: 'journal-state-works-without-node',
    comment: 'What is only for Node is an entry of its own, on top of the rest.',
    severity: 'error',
    from: { path: '^packages/journal-state/src/', pathNot: onlyOnNode },
    to: { path: onlyOnNode },
  },
];

export default {
  forbidden: [
    ...directions,
    ...pure,
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    { name: 'no-missing-modules', severity: 'error', from: {}, to: { couldNotResolve: true } },
    {
      name: 'no-undeclared-dependencies',
      severity: 'error',
      from: { path: '^(packages|apps)/[^/]+/src/' },
      to: { dependencyTypes: ['npm-no-pkg', 'npm-unknown'] },
    },
    {
      name: 'no-development-dependencies-in-shipped-code',
      severity: 'error',
      from: { path: '^packages/[^/]+/src/', pathNot: '/src/testing/' },
      to: { dependencyTypes: ['npm-dev'], dependencyTypesNot: ['npm', 'npm-peer', 'type-only'] },
    },
    {
      name: 'nobody-imports-apps',
      severity: 'error',
      from: { path: '^packages/' },
      to: { path: '^apps/' },
    },
    {
      name: 'front-doors-only',
      comment: 'A package is entered through its exports, never by a path into its sources.',
      severity: 'error',
      from: { path: '^(packages|apps)/([^/]+)/(src|test)/' },
      to: { path: '^packages/([^/]+)/src/.+/', pathNot: ['^packages/$2/', '/src/[^/]+/index\\.ts$'] },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '(^|/)(dist|gen|coverage)/' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['@pact-journal/source', 'import', 'require', 'node', 'default', 'types'],
      extensions: ['.ts', '.mjs', '.js', '.cjs', '.json'],
    },
  },
};
