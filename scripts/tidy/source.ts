// The files that tidy looks at and the shape of what it finds. Separate so that each group of rules
// is a plain function from files to findings.
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";

export interface Source {
  path: string;
  lines: string[];
  kind: "ts" | "rust" | "shell" | "manifest" | "markdown";
}

export interface Finding {
  path: string;
  line: number;
  rule: string;
  message: string;
}

const GENERATED = new Set(["native/index.cjs", "native/index.d.ts", "pnpm-lock.yaml"]);

/** Tracked files and new ones that are not ignored. */
export function listSources(): Source[] {
  const listed = execFileSync("git", ["ls-files", "-co", "--exclude-standard"], {
    encoding: "utf8",
    maxBuffer: 1 << 26,
  });
  const sources: Source[] = [];
  for (const path of listed.split("\n")) {
    if (path === "" || GENERATED.has(path) || path.includes("/fixtures/") || !existsSync(path)) {
      continue;
    }
    const named = kindByName(path);
    if (named === undefined && !/^(bin|scripts|test|\.ci)\//.test(path)) continue;
    const text = readFileSync(path, "utf8");
    const kind = named ?? (text.startsWith("#!") ? "shell" : undefined);
    if (kind !== undefined)
      sources.push({ path, kind, lines: text.replace(/\n$/, "").split("\n") });
  }
  return sources;
}

function kindByName(path: string): Source["kind"] | undefined {
  if (path.endsWith(".ts") || path.endsWith(".tsx")) return "ts";
  if (path.endsWith(".rs")) return "rust";
  if (path.endsWith(".sh")) return "shell";
  if (path.endsWith(".md")) return "markdown";
  if (path.endsWith("package.json") || path.endsWith("Cargo.toml")) return "manifest";
  return undefined;
}

export const isTest = (path: string): boolean =>
  path.startsWith("test/") ||
  path.startsWith("packages/testing/") ||
  /\.(test|bench)\.tsx?$/.test(path) ||
  /\/(tests|benches|examples)\//.test(path) ||
  path.endsWith("/tests.rs");
