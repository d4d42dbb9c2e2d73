// What doctor says of idle CPUs, for each kind of machine.

import { expect, test } from "vitest";
import { type IdleSigns, judgeIdle } from "./idle-cpus.js";

const halting: IdleSigns = {
  driver: "haltpoll",
  polling: "0",
  permitted: true,
  cpus: 2,
  choice: undefined,
};

test("where idle CPUs halt at once, doctor says whether they are kept awake", () => {
  expect(judgeIdle(halting)).toMatchObject({
    ok: true,
    detail: expect.stringContaining("kept awake"),
  });
});

test("a user's daemon does it another way, and root could spare it that", () => {
  const { detail, hint } = judgeIdle({ ...halting, permitted: false });
  expect(detail).toContain("a process that spins");
  expect(hint).toContain("guest_halt_poll_ns");
});

test.each<Partial<IdleSigns>>([{ cpus: 64 }, { choice: "off" }])(
  "where they are not (%o), it says what root can do",
  (signs) => {
    const { ok, detail, hint } = judgeIdle({ ...halting, ...signs });
    expect({ ok, detail }).toEqual({ ok: true, detail: expect.stringContaining("halt at once") });
    expect(hint).toContain("guest_halt_poll_ns");
  },
);

test.each<Partial<IdleSigns>>([
  { driver: "intel_idle", polling: undefined },
  { driver: undefined, polling: undefined },
  { polling: "200000" },
  { cpus: 1 },
])("elsewhere there is nothing to do (%o)", (signs) => {
  expect(judgeIdle({ ...halting, ...signs })).toMatchObject({ detail: "nothing to be done" });
});
