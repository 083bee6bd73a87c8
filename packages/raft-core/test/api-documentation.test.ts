import { join } from 'node:path';
import ts from 'typescript';
import { expect, it } from 'vitest';

const source = join(import.meta.dirname, '..', 'src');
const ENTRIES = ['index.ts', 'core/index.ts', 'testing/index.ts'].map((entry) => join(source, entry));

/** Names that a package's user sees and that nothing is said about: exports, and what they have. */
function undocumented(program: ts.Program, entry: string): readonly string[] {
  const checker = program.getTypeChecker();
  const file = program.getSourceFile(entry);
  const module = file === undefined ? undefined : checker.getSymbolAtLocation(file);
  if (module === undefined) throw new Error(`${entry} is no module`);
  const silent = (symbol: ts.Symbol): boolean => symbol.getDocumentationComment(checker).length === 0;
  return checker.getExportsOfModule(module).flatMap((exported) => {
    const symbol =
      (exported.flags & ts.SymbolFlags.Alias) === 0 ? exported : checker.getAliasedSymbol(exported);
    const members = [...(symbol.members?.values() ?? [])].filter(
      ({ flags, name }) =>
        (flags & (ts.SymbolFlags.Property | ts.SymbolFlags.Method | ts.SymbolFlags.Accessor)) !== 0 &&
        !name.startsWith('#'),
    );
    return [
      ...(silent(symbol) ? [symbol.name] : []),
      ...members.filter(silent).map((member) => `${symbol.name}.${member.name}`),
    ];
  });
}

it('each public name says what it is', () => {
  const program = ts.createProgram(ENTRIES, {
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    target: ts.ScriptTarget.ES2023,
    allowImportingTsExtensions: true,
    noEmit: true,
    strict: true,
    types: [],
  });
  for (const entry of ENTRIES) expect(undocumented(program, entry), entry).toEqual([]);
});
