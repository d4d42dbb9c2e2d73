// What people see: sizes, times, names.

import { expect, test, vi } from "vitest";
import { duration, line, size, span, table } from "./print.js";

test("a line stays one, and a name moves no cursor", () => {
  const written: string[] = [];
  const write = vi.spyOn(process.stdout, "write").mockImplementation((text) => {
    written.push(String(text));
    return true;
  });
  try {
    line("at /a\nb \u001b[31mred\u009b0m ü\\");
    table(["NAME", "AT"], [["a\tb", "/x"]]);
  } finally {
    write.mockRestore();
  }
  expect(written).toEqual([
    "at /a\\nb \\033[31mred\\302\\2330m ü\\\n",
    "NAME  AT\n",
    "a\\tb  /x\n",
  ]);
});

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
  expect([0, 950, 8100, 22_540, 140_200, 3_400_000, 5e12].map(span)).toEqual([
    "0 ns",
    "950 ns",
    "8.1 µs",
    "22.5 µs",
    "140 µs",
    "3.4 ms",
    "5000 s",
  ]);
});
