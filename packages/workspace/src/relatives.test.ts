// Which workspace another one shares memory with.

import { expect, it } from "vitest";

import { Relatives } from "./relatives.js";

it("finds a source, a fork, or a fork of the same source, among those that are open", () => {
  const open = new Relatives();
  expect(open.nearest("fork", ["main"])).toBeUndefined();
  open.add("main", []);
  open.addFork("one", "main");
  open.addFork("deep", "one");
  expect(open.nearest("two", ["main", "one"])).toBe("one");
  open.remove("one");
  expect(open.nearest("two", ["main", "one"])).toBe("main");
  open.remove("main");
  expect(open.nearest("two", ["main", "one"])).toBe("deep");
  expect(open.nearest("main", [])).toBe("deep");
  expect(open.nearest("deep", ["main", "one"])).toBeUndefined();
  expect(open.nearest("stranger", ["else"])).toBeUndefined();
});
