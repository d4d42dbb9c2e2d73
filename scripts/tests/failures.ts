// What failed, for the end of a log of which often only the end is seen: each failed test by its
// name and with the first lines of what was said of it, as found in what the runners print. They
// count by other means (runners.ts), and nothing here decides what is a failure.
import { stripVTControlCharacters } from "node:util";

export interface Failure {
  name: string;
  lines: string[];
}

/** Lines for each of them, and for how many: beyond that only the names. */
const LINES = 15;
const WITH_LINES = 12;
const LINE_LENGTH = 300;
const INDENT = "    ";

function linesOf(output: string): string[] {
  return stripVTControlCharacters(output)
    .split("\n")
    .map((line) => line.trimEnd());
}

/** Lines up to the next heading belong to the failures that are open. */
class Reader {
  readonly found: Failure[] = [];
  #open: Failure[] = [];

  begin(name: string): void {
    this.#open = [];
    this.beginAlso(name);
  }

  /** What several have in common is said once, below the names of all of them. */
  beginAlso(name: string): void {
    if (this.#open.some(({ lines }) => lines.length > 0)) this.#open = [];
    const failure = { name, lines: [] };
    this.#open.push(failure);
    this.found.push(failure);
  }

  add(line: string): void {
    if (line !== "") for (const { lines } of this.#open) lines.push(line);
  }

  end(): void {
    this.#open = [];
  }
}

/** Of tests, of files that do not load, of hooks, and of what was thrown in no test. */
export function vitestFailures(output: string): Failure[] {
  const reader = new Reader();
  for (const line of linesOf(output)) {
    const [, name] = /^ FAIL +\|?\w+\|? +(\S.*)$/.exec(line) ?? [];
    const [, thrown] =
      /^⎯+ (Uncaught \w+|Startup Error|Unhandled (?!Errors)\w[^⎯]*?) ⎯+$/.exec(line) ?? [];
    if (name !== undefined) reader.beginAlso(name);
    else if (thrown !== undefined) reader.begin(thrown);
    else if (line.startsWith("⎯")) reader.end();
    else reader.add(line);
  }
  return reader.found.length > 0 ? reader.found : crossedOut(output);
}

/** What vitest says of a file when it has ended: all that there is when it was cut off. */
function crossedOut(output: string): Failure[] {
  const found: Failure[] = [];
  let file = "";
  for (const line of linesOf(output)) {
    file = /^ ❯ +\|?\w+\|? +(\S+) \(/.exec(line)?.[1] ?? file;
    const test = /^ +× (.+?)(?: \d+ms)?$/.exec(line)?.[1];
    if (test !== undefined) found.push({ name: `${file} > ${test}`, lines: [] });
  }
  return found;
}

/** What libtest prints below `failures:`; a test whose process died is known by name only. */
export function cargoFailures(output: string): Failure[] {
  const reader = new Reader();
  const lines = linesOf(output);
  for (const line of lines) {
    const [, name] = /^---- (.+) stdout ----$/.exec(line) ?? [];
    if (name !== undefined) reader.begin(name);
    else if (/^(failures:|test result: .*)$/.test(line)) reader.end();
    else reader.add(line);
  }
  const told = new Set(reader.found.map(({ name }) => name));
  for (const line of lines) {
    const [, name] = /^test (.+) \.\.\. FAILED$/.exec(line) ?? [];
    if (name !== undefined && !told.has(name)) reader.found.push({ name, lines: [] });
  }
  return reader.found;
}

/** scripts/check prints what a part said, then the line that says that it failed. */
export function checkFailures(output: string): Failure[] {
  const found: Failure[] = [];
  let lines: string[] = [];
  for (const line of linesOf(output)) {
    const [, part, verdict] = /^check: (\w+) +(ok|FAILED) /.exec(line) ?? [];
    if (part === undefined) {
      if (line !== "") lines.push(line);
    } else {
      if (verdict === "FAILED") found.push({ name: part, lines });
      lines = [];
    }
  }
  return found;
}

/** One line of scripts/fuzz says it all. */
export function fuzzFailures(output: string): Failure[] {
  const said = linesOf(output).filter((line) => /^fuzz: \w+ .* in round \d+ of seed /.test(line));
  return said.map((name) => ({ name, lines: [] }));
}

/** What `told` has printed in another process. */
export function toldFailures(output: string): Failure[] {
  const reader = new Reader();
  for (const line of linesOf(output)) {
    if (line.startsWith("failed: ")) reader.begin(line.slice("failed: ".length));
    else if (line.startsWith(INDENT)) reader.add(line.slice(INDENT.length));
    else reader.end();
  }
  return reader.found;
}

/** The end of what was printed, for a failure that has no test to its name. */
export function unnamed(name: string, output: string): Failure {
  const lines = linesOf(output).filter((line) => line !== "");
  return { name, lines: lines.slice(-LINES) };
}

/** With another name in front: of the runner, or of what it ran for. */
export function within(name: string, failures: Failure[]): Failure[] {
  return failures.map((failure) => ({ ...failure, name: `${name}: ${failure.name}` }));
}

/** The first lines, with the first one that says where when that comes later. */
function shortened(lines: string[]): string[] {
  const isPlace = (line: string): boolean => line.startsWith(" ❯ ");
  const first = lines.slice(0, LINES);
  const where = first.some(isPlace) ? undefined : lines.find(isPlace);
  if (where !== undefined) first.splice(-1, 1, where);
  return first.map((line) => INDENT + line.slice(0, LINE_LENGTH));
}

/** The lines to print. */
export function told(failures: Failure[]): string[] {
  return failures.flatMap(({ name, lines }, n) => [
    `failed: ${name}`,
    ...(n < WITH_LINES ? shortened(lines) : []),
  ]);
}
