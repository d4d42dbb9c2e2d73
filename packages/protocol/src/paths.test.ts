// Where daemon and clients meet.

import { expect, test } from "vitest";
import { dataPaths } from "./paths.js";

test("DEVDEV_HOME moves everything, also when it is relative", () => {
  const paths = dataPaths({ DEVDEV_HOME: "/d/h", HOME: "/u", XDG_RUNTIME_DIR: "/run/u" });
  expect(paths).toMatchObject({ home: "/d/h", logDir: "/d/h/log", socket: "/d/h/run/daemon.sock" });
  expect(dataPaths({ DEVDEV_HOME: "h" }).home).toBe(`${process.cwd()}/h`);
});

test("without it: below HOME and the runtime directory, whatever TMPDIR is", () => {
  const paths = dataPaths({ HOME: "/u", XDG_RUNTIME_DIR: "/run/u" });
  expect(paths).toMatchObject({ home: "/u/.devdev", socket: "/run/u/devdev/daemon.sock" });
  const shared = dataPaths({ HOME: "/u", TMPDIR: "/elsewhere" });
  expect(shared.socket).toBe(`/tmp/devdev-${process.getuid?.()}/daemon.sock`);
});

test("a socket's path fits into 107 bytes, and differs for different homes", () => {
  const longest = `/${"x".repeat(90)}`;
  expect(dataPaths({ DEVDEV_HOME: longest }).socket).toBe(`${longest}/run/daemon.sock`);
  const sockets = ["a", "b"].map((c) => dataPaths({ DEVDEV_HOME: `/${c.repeat(91)}` }).socket);
  expect(sockets[0]).toMatch(/^\/tmp\/devdev-\d+\/[0-9a-z]+\.sock$/);
  expect(new Set(sockets).size).toBe(2);
});
