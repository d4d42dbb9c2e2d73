// Direction rules: which package and which crate may depend on which. Separate because this table
// is the shape of the system; a change here is an architectural decision.
import { isTest, type Finding, type Source } from "./source.ts";

/** Package -> the packages of ours that it may import. */
const PACKAGES: Record<string, string[]> = {
  errno: [],
  protocol: ["errno"],
  vfs: ["errno", "protocol", "native"],
  store: ["errno"],
  exec: ["errno", "protocol", "vfs"],
  workspace: ["errno", "protocol", "vfs", "store", "exec"],
  daemon: ["errno", "protocol", "workspace"],
  client: ["errno", "protocol"],
  cli: ["errno", "protocol", "client"],
  testing: ["errno", "protocol"],
};

/** Crate -> the crates of ours that it may use. */
const CRATES: Record<string, string[]> = {
  "devdev-vfs": [],
  "devdev-pack": ["devdev-vfs"],
  "devdev-fuse": ["devdev-vfs"],
  "devdev-winfsp": ["devdev-vfs"],
  "devdev-addon": ["devdev-vfs", "devdev-fuse", "devdev-winfsp", "devdev-pack"],
  "devdev-helper": [],
  "devdev-fsops": ["devdev-vfs"],
  "devdev-fuzz": ["devdev-vfs", "devdev-fuse", "devdev-pack"],
};

const IMPORT = /(?:\bfrom\s+|\bimport\s*\(\s*|^import\s+)"([^"]+)"/;

export function checkImports(source: Source, manifests: Map<string, Source>): Finding[] {
  if (source.kind === "ts") return checkTypeScript(source, manifests);
  if (source.kind === "manifest") {
    return source.path.endsWith("Cargo.toml") ? checkCrate(source) : checkPins(source);
  }
  return source.path.startsWith("native/vfs/src/") ? checkPureCore(source) : [];
}

function checkTypeScript(source: Source, manifests: Map<string, Source>): Finding[] {
  const owner = /^packages\/([^/]+)\//.exec(source.path)?.[1];
  const findings: Finding[] = [];
  source.lines.forEach((text, index) => {
    const report = (message: string): void => {
      findings.push({ path: source.path, line: index + 1, rule: "imports", message });
    };
    if (text.startsWith("export * from")) report("`export *`: export by name");
    const target = IMPORT.exec(text)?.[1];
    if (target === undefined || owner === undefined) return;
    if (target.startsWith(".")) {
      const climbs = target.split("/").filter((part) => part === "..").length;
      if (climbs > source.path.split("/").length - 4) report(`${target} leaves the package's src/`);
    } else if (target.startsWith("@devdev/")) {
      const [name = "", ...deep] = target.slice("@devdev/".length).split("/");
      // Suites for other implementations are entries of their own: they need no run-time package.
      if (deep.length > 0 && deep[0] !== "test")
        report(`${target}: deep import; the package exports by name from its index`);
      if (isTest(source.path) || name === owner) return;
      if (!PACKAGES[owner]?.includes(name)) report(`${owner} may not import ${name}`);
    } else if (
      !target.startsWith("node:") &&
      !isTest(source.path) &&
      source.path.includes("/src/")
    ) {
      const manifest = manifests.get(`packages/${owner}/package.json`);
      const name = target.split("/", target.startsWith("@") ? 2 : 1).join("/");
      const parsed = JSON.parse(manifest?.lines.join("\n") ?? "{}");
      if (!(name in (parsed.dependencies ?? {}))) report(`${name} is no dependency of ${owner}`);
    }
  });
  return findings;
}

function checkPins(source: Source): Finding[] {
  const parsed = JSON.parse(source.lines.join("\n"));
  const findings: Finding[] = [];
  for (const group of ["dependencies", "devDependencies", "optionalDependencies"]) {
    for (const [name, range] of Object.entries(parsed[group] ?? {})) {
      if (/^(workspace:\*|(npm:@?[^@]+@)?\d+\.\d+\.\d+[-.\w]*)$/.test(String(range))) continue;
      const message = `${name}: "${String(range)}" is not an exact version`;
      findings.push({ path: source.path, line: 1, rule: "pins", message });
    }
  }
  return findings;
}

function checkCrate(source: Source): Finding[] {
  const crate = source.lines.map((line) => /^name = "([^"]+)"/.exec(line)?.[1]).find(Boolean);
  if (crate === undefined) return [];
  const allowed = CRATES[crate];
  const report = (line: number, message: string): Finding => ({
    path: source.path,
    line,
    rule: "imports",
    message,
  });
  if (allowed === undefined) return [report(1, `${crate} is missing in scripts/tidy/imports.ts`)];
  let section = "";
  return source.lines.flatMap((text, index) => {
    section = /^\[(.+)\]/.exec(text)?.[1] ?? section;
    const used = /^(devdev-\w+)/.exec(text)?.[1];
    if (used === undefined || section === "dev-dependencies" || allowed.includes(used)) return [];
    return [report(index + 1, `${crate} may not depend on ${used}`)];
  });
}

/** The engine knows no operating system, no clock and no randomness: all of it is passed in. */
function checkPureCore(source: Source): Finding[] {
  if (isTest(source.path)) return [];
  const tests = source.lines.findIndex((line) => line.startsWith("#[cfg(test)]"));
  const code = tests < 0 ? source.lines : source.lines.slice(0, tests);
  return code.flatMap((text, index) => {
    const used = /\b(std::(?:fs|env|process|net|os)\b|SystemTime|Instant::now|rustix|libc)/.exec(
      text,
    );
    if (used === null || /^\s*\/\//.test(text)) return [];
    return [
      { path: source.path, line: index + 1, rule: "pure", message: `the engine uses ${used[1]}` },
    ];
  });
}
