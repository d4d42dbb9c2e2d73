// When a long log is copied: the time is a made-up one.

import { afterEach, beforeEach, expect, it, vi } from "vitest";

import type { LogPosition } from "@devdev/store";
import { LogCopier } from "./log-copier.js";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** A log of the first generation, written so far. */
function at(written: number): LogPosition {
  return { generation: "first", written };
}

function prepared(results: Array<LogPosition | undefined | Error>) {
  const seen = { copies: 0, done: 0, busy: false };
  const copier = new LogCopier({
    copy: async () => {
      const result = results[seen.copies++];
      if (result instanceof Error) throw result;
      return result;
    },
    isBusy: () => seen.busy,
    onDone: () => void seen.done++,
  });
  return { copier, seen };
}

it("copies a long log in a quiet moment, and once", async () => {
  const { copier, seen } = prepared([at(200)]);
  for (let n = 0; n < 5; n++) {
    expect(copier.take(at(100 + n))).toBe(true);
    await vi.advanceTimersByTimeAsync(3900);
  }
  expect(copier.take(at(200))).toBe(true);
  expect(seen).toMatchObject({ copies: 0, done: 0 });
  await vi.advanceTimersByTimeAsync(5000);
  expect(seen).toMatchObject({ copies: 1, done: 1 });
  expect(copier.take(at(200))).toBe(false);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(seen.copies).toBe(1);
  // Begun anew, and as long again.
  expect(copier.take({ generation: "second", written: 200 })).toBe(true);
});

it("waits no longer than twenty seconds for such a moment", async () => {
  const { copier, seen } = prepared([at(1), at(2)]);
  for (let n = 0; n < 39; n++) {
    copier.take(at(100));
    await vi.advanceTimersByTimeAsync(500);
  }
  expect(seen.copies).toBe(0);
  await vi.advanceTimersByTimeAsync(500);
  expect(seen.copies).toBe(1);
  seen.busy = true;
  copier.take(at(100));
  await vi.advanceTimersByTimeAsync(19_900);
  expect(seen.copies).toBe(1);
  await vi.advanceTimersByTimeAsync(200);
  expect(seen.copies).toBe(2);
});

it("asks for no time that has passed when nothing ran for long", () => {
  const { copier } = prepared([at(1)]);
  copier.take(at(100));
  const late = performance.now() + 21_000;
  const clock = vi.spyOn(performance, "now").mockReturnValue(late);
  const timer = vi.spyOn(globalThis, "setTimeout");
  copier.take(at(101));
  expect(timer.mock.calls.map(([, delay]) => delay)).toEqual([0]);
  clock.mockRestore();
  timer.mockRestore();
});

it("tries again, not at once, when a part could not be copied", async () => {
  const { copier, seen } = prepared([undefined, new Error("disk"), at(7)]);
  for (let n = 1; n <= 3; n++) {
    expect(copier.take(at(100))).toBe(true);
    await vi.advanceTimersByTimeAsync(n === 1 ? 4900 : 9600);
    expect(seen.copies).toBe(n - 1);
    await vi.advanceTimersByTimeAsync(400);
    expect(seen.copies).toBe(n);
  }
  expect(copier.take(at(7))).toBe(false);
});

it("takes on nothing more when it was stopped", async () => {
  const { copier, seen } = prepared([at(200)]);
  copier.take(at(100));
  await copier.stop();
  expect(copier.take(at(100))).toBe(false);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(seen.copies).toBe(0);
});
