// Who may persist when.

import { expect, it } from "vitest";

import { Turns } from "./turns.js";

it("lets few run at once, and who is waited for before the others", async () => {
  const turns = new Turns();
  const began: string[] = [];
  const ends = new Map<string, () => void>();
  const start = (key: string, kind: "background" | "full") =>
    turns.run(key, kind, async () => {
      began.push(key);
      await new Promise<void>((resolve) => ends.set(key, resolve));
    });
  const settled = () => new Promise((resolve) => setImmediate(resolve));
  const all = ["b1", "b2", "b3", "b4"].map((key) => start(key, "background"));
  await settled();
  expect(began).toEqual(["b1", "b2"]);
  // Those that somebody waits for do not wait for the background.
  all.push(...["f1", "f2", "f3", "f4", "f5"].map((key) => start(key, "full")));
  await settled();
  expect(began.slice(2)).toEqual(["f1", "f2", "f3", "f4"]);
  turns.hurry("b4");
  ends.get("f2")?.();
  ends.get("f3")?.();
  await settled();
  expect(began.slice(6).toSorted()).toEqual(["b4", "f5"]);
  ends.get("b1")?.();
  await settled();
  expect(began.at(-1)).toBe("b3");
  for (const end of ends.values()) end();
  await Promise.all(all);
});
