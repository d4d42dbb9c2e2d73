// Checks the rules of the style guide that no linter knows: sizes, opening comments, who imports
// whom, names, pins. Runs without a build (Node strips the types): node scripts/tidy.ts [--fix]
import { EXCEPTIONS } from "./tidy/exceptions.ts";
import { checkImports } from "./tidy/imports.ts";
import { rewrapComments } from "./tidy/rewrap.ts";
import { checkSizes } from "./tidy/sizes.ts";
import { listSources, type Finding } from "./tidy/source.ts";
import { checkWords } from "./tidy/words.ts";

let sources = listSources();
if (process.argv.includes("--fix")) {
  const only = process.argv.slice(3);
  const chosen = sources.filter(
    ({ path }) => only.length === 0 || only.some((p) => path.startsWith(p)),
  );
  for (const source of chosen)
    if (rewrapComments(source)) console.error(`rewrapped ${source.path}`);
  sources = listSources();
}
const manifests = new Map(
  sources.filter(({ kind }) => kind === "manifest").map((source) => [source.path, source]),
);
const findings: Finding[] = [];
const used = new Set<object>();
for (const source of sources) {
  const all = [...checkSizes(source), ...checkImports(source, manifests), ...checkWords(source)];
  for (const finding of all) {
    const exception = EXCEPTIONS.find((e) => e.path === finding.path && e.rule === finding.rule);
    if (exception === undefined) findings.push(finding);
    else used.add(exception);
  }
}
for (const exception of EXCEPTIONS) {
  if (used.has(exception)) continue;
  const message = `the exception for '${exception.rule}' is not needed any more`;
  findings.push({ path: exception.path, line: 1, rule: "exception", message });
}
for (const { path, line, rule, message } of findings) {
  console.error(`${path}:${line}: ${rule}: ${message}`);
}
console.error(`tidy: ${sources.length} files, ${findings.length} findings`);
process.exitCode = findings.length === 0 ? 0 : 1;
