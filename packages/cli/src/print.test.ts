// What people see: sizes, times, quoted paths.

import { expect, test } from "vitest";
import { duration, quotePath, size } from "./print.js";

test("sizes and durations in the unit a person would choose", () => {
  expect([0, 1023, 1024, 1536, 5 * 1024 ** 3].map(size)).toEqual([
    "0 B",
    "1023 B",
    "1.0 KiB",
    "1.5 KiB",
    "5.0 GiB",
  ]);
  expect([0.42, 12.7, 1500, 61_000, 7_260_000].map(duration)).toEqual([
    "0.4 ms",
    "13 ms",
    "1.5 s",
    "1 min",
    "2 h 1 min",
  ]);
});

test("paths are quoted as git quotes them", () => {
  expect(quotePath("src/plain.ts")).toBe("src/plain.ts");
  expect(quotePath("ümlaut")).toBe("ümlaut");
  expect(quotePath('a"b\\c\td\u0001')).toBe('"a\\"b\\\\c\\td\\001"');
  expect(quotePath({ b64: Buffer.from([0x61, 0xff, 0x0a]).toString("base64") })).toBe(
    '"a\\377\\n"',
  );
});
