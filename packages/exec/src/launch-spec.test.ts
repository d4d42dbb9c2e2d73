// The wire between daemon and launcher, byte by byte; spec.rs tests the other end.
import { expect, test } from "vitest";

import { LaunchError } from "./launch-error.js";
import { decodeRecord } from "./launch-records.js";
import { encodeSpec, type LaunchSpec } from "./launch-spec.js";

const spec: LaunchSpec = { argv: ["ls"], env: { A: "b" }, cwd: "/", stdin: "ignore", umask: 0o22 };

test("encodeSpec lays the bytes out as spec.rs reads them", () => {
  const limits = { nofile: { soft: 10, hard: "unlimited" } } as const;
  expect(encodeSpec({ ...spec, terminal: { cols: 80, rows: 24 }, limits }).toString("hex")).toBe(
    [
      ["40000000", "01", "02", "5000", "1800", "12000000"],
      ["01000000", "02000000", "6c73"],
      ["01000000", "03000000", "413d62"],
      ["01000000", "2f", "00000000"],
      ["01000000", "07000000", "0a00000000000000", "ffffffffffffffff"],
    ]
      .flat()
      .join(""),
  );
});

test("decodeRecord waits for whole records and refuses foreign ones", () => {
  const error = Buffer.from("4506020000000300000061ff62", "hex");
  for (let length = 0; length < error.length; length++) {
    expect(decodeRecord(error.subarray(0, length))).toBeUndefined();
  }
  expect(decodeRecord(Buffer.concat([error, Buffer.from("R")]))).toEqual({
    record: { type: "error", stage: "lookup", code: "ENOENT", path: "a\ufffdb" },
    length: error.length,
  });
  const ready = Buffer.from("52030000000400000005000000", "hex");
  expect(decodeRecord(ready)?.record).toEqual({ type: "ready", descriptors: [3, 4, 5] });
  expect(() => decodeRecord(Buffer.from("X"))).toThrow(LaunchError);
  expect(() => decodeRecord(Buffer.from("45630200000000000000", "hex"))).toThrow(LaunchError);
});
