// Each rule of tidy finds what it is for, and leaves alone what looks like it.
import { expect, test } from "vitest";
import { checkImports } from "./imports.ts";
import { checkSizes } from "./sizes.ts";
import type { Source } from "./source.ts";
import { checkWords } from "./words.ts";

const HEADER = "// What it is.";

function source(path: string, lines: string[]): Source {
  const kind = path.endsWith(".rs") ? "rust" : path.endsWith(".ts") ? "ts" : "manifest";
  return { path, kind, lines };
}

const repeat = (line: string, times: number): string[] => Array.from({ length: times }, () => line);

function rules(path: string, lines: string[], manifests: Source[] = []): string[] {
  const one = source(path, lines);
  const known = new Map(manifests.map((manifest) => [manifest.path, manifest]));
  const findings = [...checkSizes(one), ...checkImports(one, known), ...checkWords(one)];
  return findings.map(({ rule, line }) => `${rule}:${line}`);
}

test("files open with a comment", () => {
  expect(rules("packages/vfs/src/a.ts", ["export {};"])).toEqual(["header:1"]);
  expect(rules("packages/vfs/src/a.ts", [HEADER, "export {};"])).toEqual([]);
  expect(rules("native/fuse/src/a.rs", ["//! What it is."])).toEqual([]);
});

test("files, lines and Rust functions have a size", () => {
  const long = [HEADER, ...repeat("a();", 250)];
  expect(rules("packages/vfs/src/a.ts", long)).toEqual(["length:1"]);
  expect(rules("packages/vfs/src/a.ts", [HEADER, "x".repeat(101)])).toEqual(["width:2"]);
  const body = repeat("    a();", 69);
  const one = [HEADER, "pub fn short() {}", "pub(crate) fn long(&self) {", ...body, "}"];
  expect(rules("native/fuse/src/a.rs", one)).toEqual(["function:3"]);
  expect(rules("native/fuse/src/a.rs", [HEADER, "fn fits() {", ...body.slice(1), "}"])).toEqual([]);
});

test("a Rust file is measured before its tests", () => {
  const code = [HEADER, ...repeat("a();", 590)];
  const tests = ["#[cfg(test)]", "mod tests {", ...repeat("    t();", 100), "}"];
  expect(rules("native/fuse/src/a.rs", [...code, ...tests])).toEqual([]);
  expect(rules("native/fuse/src/a.rs", [...code, ...code])).toEqual(["length:1"]);
  const many = ["#[cfg(test)]", "mod tests {", ...repeat("    t();", 200), "}"];
  expect(rules("native/fuse/src/a.rs", [HEADER, ...many])).toEqual(["length:2"]);
});

test("packages import in one direction and by name", () => {
  const at = (path: string, line: string, manifests?: Source[]): string[] =>
    rules(path, [HEADER, line], manifests);
  expect(at("packages/errno/src/a.ts", 'import { x } from "@devdev/vfs";')).toEqual(["imports:2"]);
  expect(at("packages/vfs/src/a.ts", 'import { x } from "@devdev/errno";')).toEqual([]);
  expect(at("packages/vfs/src/a.test.ts", 'import { x } from "@devdev/cli";')).toEqual([]);
  expect(at("packages/cli/src/a.ts", 'const m = await import("@devdev/daemon");')).toHaveLength(1);
  expect(at("packages/vfs/src/a.ts", 'import { x } from "@devdev/errno/dist/t.js";')).toHaveLength(
    1,
  );
  expect(at("packages/vfs/src/a.ts", 'import { x } from "../../errno/src/a.js";')).toHaveLength(1);
  expect(at("packages/vfs/src/deep/a.ts", 'import { x } from "../b.js";')).toEqual([]);
  expect(at("packages/vfs/src/a.ts", 'export * from "./b.js";')).toEqual(["imports:2"]);
  const text = '{ "dependencies": { "zod": "4.6.7" } }';
  const manifest = source("packages/vfs/package.json", [text]);
  expect(at("packages/vfs/src/a.ts", 'import { z } from "zod";', [manifest])).toEqual([]);
  expect(at("packages/vfs/src/a.ts", 'import { p } from "pino";', [manifest])).toEqual([
    "imports:2",
  ]);
});

test("crates depend in one direction", () => {
  const crate = (name: string, ...lines: string[]): string[] =>
    rules("native/x/Cargo.toml", ["[package]", `name = "${name}"`, ...lines]);
  const fuse = "devdev-fuse.workspace = true";
  expect(crate("devdev-vfs", "[dependencies]", fuse)).toEqual(["imports:4"]);
  expect(crate("devdev-addon", "[dependencies]", fuse)).toEqual([]);
  expect(crate("devdev-vfs", "[dev-dependencies]", fuse)).toEqual([]);
  expect(crate("devdev-new")).toEqual(["imports:1"]);
});

test("the engine takes clock and system from outside", () => {
  const engine = (...lines: string[]): string[] => rules("native/vfs/src/a.rs", [HEADER, ...lines]);
  expect(engine("use std::time::SystemTime;")).toEqual(["pure:2"]);
  expect(engine("use std::sync::Arc;", "#[cfg(test)]", "use std::fs;")).toEqual([]);
});

test("versions are exact", () => {
  const pins = (range: string): string[] =>
    rules("packages/a/package.json", [`{ "dependencies": { "a": "${range}" } }`]);
  expect(pins("^1.2.3")).toEqual(["pins:1"]);
  expect(["1.2.3", "workspace:*", "npm:@b/c@1.2.3", "1.0.0-beta.1"].flatMap(pins)).toEqual([]);
});

test("names and words", () => {
  expect(rules("packages/vfs/src/utils.ts", [HEADER])).toEqual(["name:1"]);
  expect(rules("packages/vfs/src/aB.ts", [HEADER])).toEqual(["name:1"]);
  expect(rules("native/fuse/src/a.rs", [HEADER, "// TODO: later"])).toEqual(["todo:2"]);
  expect(rules("native/fuse/src/a.rs", [HEADER, "// TODO (#12): later"])).toEqual([]);
  expect(rules("packages/vfs/src/a.test.ts", [HEADER, "test.only('x', f);"])).toEqual(["only:2"]);
});
