const LOG_LINE = /^\s*(DEBUG|INFO|WARN|ERROR|FATAL) /;

/** Brings two outputs into comparable form: trailing blanks are never part of one, log lines only if `exact`. */
export function normalize(output: string, exact: boolean): readonly string[] {
  const lines = output.split('\n').map((line) => line.trimEnd());
  while (lines.at(-1) === '') lines.pop();
  if (exact) return lines;
  const kept = lines.filter((line) => !LOG_LINE.test(line));
  // A command that printed nothing but log lines has done as much as one that printed nothing.
  return kept.length === 0 ? ['ok'] : kept;
}

/** A line-by-line difference: `-` for expected, `+` for printed, two blanks for both. */
export function diff(expected: readonly string[], actual: readonly string[]): string {
  const common = commonLengths(expected, actual);
  const lines: string[] = [];
  let e = 0;
  let a = 0;
  while (e < expected.length || a < actual.length) {
    if (e < expected.length && a < actual.length && expected[e] === actual[a]) {
      lines.push(`    ${expected[e] ?? ''}`);
      e += 1;
      a += 1;
    } else if (a >= actual.length || (e < expected.length && at(common, e + 1, a) >= at(common, e, a + 1))) {
      lines.push(`  - ${expected[e] ?? ''}`);
      e += 1;
    } else {
      lines.push(`  + ${actual[a] ?? ''}`);
      a += 1;
    }
  }
  return lines.join('\n');
}

/** Lengths of the longest common subsequence of every pair of suffixes. */
function commonLengths(
  expected: readonly string[],
  actual: readonly string[],
): readonly (readonly number[])[] {
  const table: number[][] = Array.from({ length: expected.length + 1 }, () =>
    new Array<number>(actual.length + 1).fill(0),
  );
  for (let e = expected.length - 1; e >= 0; e -= 1) {
    for (let a = actual.length - 1; a >= 0; a -= 1) {
      const row = table[e];
      if (row === undefined) continue;
      row[a] =
        expected[e] === actual[a]
          ? at(table, e + 1, a + 1) + 1
          : Math.max(at(table, e + 1, a), at(table, e, a + 1));
    }
  }
  return table;
}

function at(table: readonly (readonly number[])[], row: number, column: number): number {
  return table[row]?.[column] ?? 0;
}
