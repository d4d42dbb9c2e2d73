// When a long log is copied: the time is a made-up one.

import { afterEach, beforeEach, expect, it, vi } from "vitest";

import { LogCopier } from "./log-copier.js";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function prepared(results: Array<boolean | Error>) {
  const seen = { copies: 0, done: 0, busy: false };
  const copier = new LogCopier({
    copy: async () => {
      const result = results[seen.copies++];
      if (result instanceof Error) throw result;
      return result ?? false;
    },
    isBusy: () => seen.busy,
    onDone: () => void seen.done++,
  });
  return { copier, seen };
}

it("copies a long log in a quiet moment, and once", async () => {
  const { copier, seen } = prepared([true]);
  for (let n = 0; n < 5; n++) {
    expect(copier.take()).toBe(true);
    await vi.advanceTimersByTimeAsync(900);
  }
  expect(copier.take()).toBe(true);
  expect(seen).toMatchObject({ copies: 0, done: 0 });
  await vi.advanceTimersByTimeAsync(1000);
  expect(seen).toMatchObject({ copies: 1, done: 1 });
  await vi.advanceTimersByTimeAsync(60_000);
  expect(seen.copies).toBe(1);
});

it("waits no longer than ten seconds for such a moment", async () => {
  const { copier, seen } = prepared([true, true]);
  for (let n = 0; n < 19; n++) {
    copier.take();
    await vi.advanceTimersByTimeAsync(500);
  }
  expect(seen.copies).toBe(0);
  await vi.advanceTimersByTimeAsync(500);
  expect(seen.copies).toBe(1);
  seen.busy = true;
  copier.take();
  await vi.advanceTimersByTimeAsync(9900);
  expect(seen.copies).toBe(1);
  await vi.advanceTimersByTimeAsync(200);
  expect(seen.copies).toBe(2);
});

it("tries again, not at once, when a part could not be copied", async () => {
  const { copier, seen } = prepared([false, new Error("disk"), true]);
  for (let n = 1; n <= 3; n++) {
    expect(copier.take()).toBe(true);
    await vi.advanceTimersByTimeAsync(n === 1 ? 900 : 9600);
    expect(seen.copies).toBe(n - 1);
    await vi.advanceTimersByTimeAsync(400);
    expect(seen.copies).toBe(n);
  }
  expect(seen.done).toBe(3);
});

it("takes on nothing more when it was stopped", async () => {
  const { copier, seen } = prepared([true]);
  copier.take();
  await copier.stop();
  expect(copier.take()).toBe(false);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(seen.copies).toBe(0);
});
