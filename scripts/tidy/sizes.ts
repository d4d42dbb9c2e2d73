// Size rules: how long files, functions and lines may be, and that each file opens by saying what
// it is.
import type { Finding, Source } from "./source.ts";

const MAX_TS = 250;
const MAX_RUST = 600;
const MAX_RUST_INLINE_TESTS = 200;
const MAX_FUNCTION = 70;
const MAX_WIDTH = 100;
const MAX_HEADER = 20;
const MAX_LAUNCHER = 20;

export function checkSizes(source: Source): Finding[] {
  if (source.kind === "manifest" || source.kind === "markdown") return [];
  const findings = [...checkLength(source), ...checkWidth(source), ...checkHeader(source)];
  if (source.kind === "rust") findings.push(...checkRustFunctions(source));
  return findings;
}

function checkLength({ path, kind, lines }: Source): Finding[] {
  const tooLong = (line: number, what: string, is: number, max: number): Finding[] =>
    is <= max
      ? []
      : [{ path, line, rule: "length", message: `${what} has ${is} lines, ${max} allowed` }];
  if (path.startsWith("bin/")) return tooLong(1, "the launcher", lines.length, MAX_LAUNCHER);
  if (kind !== "rust") return tooLong(1, "the file", lines.length, MAX_TS);
  const tests = lines.findIndex((line) => line.startsWith("#[cfg(test)]"));
  const inline = tests >= 0 && !/^mod \w+;/.test(lines[tests + 1] ?? "");
  const code = inline ? tests : lines.length;
  return [
    ...tooLong(1, "the file (before its tests)", code, MAX_RUST),
    ...tooLong(code + 1, "the inline test module", lines.length - code, MAX_RUST_INLINE_TESTS),
  ];
}

function checkWidth({ path, kind, lines }: Source): Finding[] {
  const findings: Finding[] = [];
  // The formatters break code; what they leave long is a text that cannot be broken.
  const formatted = kind === "rust" || kind === "ts";
  lines.forEach((text, index) => {
    const code = formatted && !/^\s*(\/\/|\*|\/\*)/.test(text) && /["'`]/.test(text);
    // A long address cannot be broken.
    if (text.length > MAX_WIDTH && !code && !/https?:\/\/\S{40}/.test(text)) {
      const message = `${text.length} columns, ${MAX_WIDTH} allowed`;
      findings.push({ path, line: index + 1, rule: "width", message });
    }
  });
  return findings;
}

function checkHeader({ path, kind, lines }: Source): Finding[] {
  const start = lines[0]?.startsWith("#!/") ? 1 : 0;
  const comment = kind === "shell" ? /^#/ : kind === "rust" ? /^\/\// : /^(\/\/|\/\*| \*)/;
  let end = start;
  while (end < lines.length && comment.test(lines[end] ?? "")) end++;
  const size = end - start;
  const found = (message: string): Finding[] => [{ path, line: 1, rule: "header", message }];
  if (size === 0) return found("does not open with a comment that says what the file is");
  if (size > MAX_HEADER) return found(`opens with ${size} comment lines, ${MAX_HEADER} allowed`);
  return [];
}

/** rustfmt puts the closing brace in the column of the line that opened the item. */
function checkRustFunctions({ path, lines }: Source): Finding[] {
  const findings: Finding[] = [];
  lines.forEach((text, start) => {
    const head = /^(\s*)(?:pub(?:\([^)]*\))? )?(?:const |async |unsafe |extern "C" )*fn (\w+)/.exec(
      text,
    );
    if (head === null) return;
    const close = `${head[1]}}`;
    let end = start;
    while (end < lines.length && lines[end] !== close && !/[;}]$/.test(start === end ? text : ""))
      end++;
    const size = end - start + 1;
    if (end < lines.length && size > MAX_FUNCTION) {
      const message = `fn ${head[2]} has ${size} lines, ${MAX_FUNCTION} allowed`;
      findings.push({ path, line: start + 1, rule: "function", message });
    }
  });
  return findings;
}
