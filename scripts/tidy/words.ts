// Rules on names and wording: file names, to-dos, tests that were narrowed by hand, dead links.
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Finding, Source } from "./source.ts";

export function checkWords(source: Source): Finding[] {
  if (source.kind === "markdown") return checkLinks(source);
  if (source.kind === "manifest") return [];
  return [...checkName(source), ...checkLines(source)];
}

function checkName({ path, kind }: Source): Finding[] {
  const name = path.slice(path.lastIndexOf("/") + 1);
  const found = (message: string): Finding[] => [{ path, line: 1, rule: "name", message }];
  if (/^(utils?|helpers?|common|misc)\b/.test(name)) return found("the name says nothing");
  if (kind === "ts" && !/^[a-z0-9]+(-[a-z0-9]+)*(\.[a-z]+)*\.tsx?$/.test(name)) {
    return found("TypeScript files are named in kebab-case");
  }
  if (kind === "rust" && !/^[a-z0-9_]+\.rs$/.test(name))
    return found("Rust files are named in snake_case");
  return [];
}

function checkLines({ path, lines }: Source): Finding[] {
  const findings: Finding[] = [];
  lines.forEach((text, index) => {
    const report = (rule: string, message: string): void => {
      findings.push({ path, line: index + 1, rule, message });
    };
    if (/\b(TODO|FIXME|XXX)\b(?!.*(#\d+|https?:))/.test(text)) {
      report("todo", "a to-do carries an issue link");
    }
    if (/\b(describe|it|test)\.only\(/.test(text))
      report("only", "a test run was narrowed by hand");
    if (/^\s*#\[ignore\]/.test(text)) report("ignore", "an ignored test says why: #[ignore = ...]");
    if (/\s$/.test(text)) report("space", "white space at the end of the line");
  });
  return findings;
}

function checkLinks({ path, lines }: Source): Finding[] {
  return lines.flatMap((text, index) =>
    [...text.matchAll(/\]\(([^)#\s]+)(#[^)]*)?\)/g)]
      .map((match) => match[1] ?? "")
      .filter((target) => !/^[a-z]+:/.test(target) && !existsSync(join(dirname(path), target)))
      .map((target) => ({
        path,
        line: index + 1,
        rule: "link",
        message: `${target} does not exist`,
      })),
  );
}
