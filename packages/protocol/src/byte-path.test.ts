// Paths as git prints them; that git reads them back is seen with git itself.

import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";
import { gitPath, pathBytes } from "./byte-path.js";
import type { BytePath } from "./diff.js";

const bytes = (...values: number[]): BytePath => ({
  b64: Buffer.from(values).toString("base64"),
});

test("plain names and UTF-8 stand as they are, without the leading slash", () => {
  expect(gitPath("/src/plain.ts")).toBe("src/plain.ts");
  expect(gitPath("no/slash with a space")).toBe("no/slash with a space");
  expect(gitPath("/ümlaut/日本/😀", "b/")).toBe("b/ümlaut/日本/😀");
});

test("quotes, backslashes and control characters are escaped, and what is UTF-8 beside them is kept", () => {
  expect(gitPath('/a"b\\c\td\u0001')).toBe('"a\\"b\\\\c\\td\\001"');
  expect(gitPath("/\u0007\b\n\v\f\r\u001b\u007f")).toBe('"\\a\\b\\n\\v\\f\\r\\033\\177"');
  expect(gitPath("/größe\n日本😀", "a/")).toBe('"a/größe\\n日本😀"');
});

test("control characters beyond ASCII do not reach a terminal", () => {
  expect(gitPath("/a\u009bé\u0085")).toBe('"a\\302\\233é\\302\\205"');
});

test("a path that is not UTF-8 has all its high bytes as octal escapes", () => {
  expect(gitPath(bytes(0x2f, 0x61, 0xff, 0x0a))).toBe('"a\\377\\n"');
  expect(gitPath(bytes(0xc3, 0xbc, 0xff), "a/")).toBe('"a/\\303\\274\\377"');
  expect(gitPath(bytes(0xed, 0xa0, 0x80))).toBe('"\\355\\240\\200"'); // a lone surrogate
});

test("git takes each of them for the name that it was", () => {
  const paths: BytePath[] = [
    "/with space",
    'quote" and \\ backslash',
    "tab\there größe\n😀\u009b\u007f",
    bytes(0xc3, 0xbc, 0x20, 0xff, 0x22, 0x01),
  ];
  const patches = paths.map((path) => {
    const [a, b] = [gitPath(path, "a/"), gitPath(path, "b/")];
    return `diff --git ${a} ${b}\nnew file mode 100644\n--- /dev/null\n+++ ${b}\n@@ -0,0 +1 @@\n+x\n`;
  });
  const { stdout, stderr } = spawnSync("git", ["apply", "--numstat", "-z"], {
    input: patches.join(""),
  });
  expect(stderr.toString()).toBe("");
  const names = stdout.toString("latin1").split("\0").slice(0, -1);
  const wanted = paths.map((path) => pathBytes(path).toString("latin1").replace(/^\//, ""));
  expect(names).toEqual(wanted.map((name) => `1\t0\t${name}`));
});
