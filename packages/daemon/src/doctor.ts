// What `devdev doctor` looks at: the pieces a workspace needs on this host, what is left of dead
// mounts (which it clears), and whether the store is whole.

import { access, constants } from "node:fs/promises";
import { delimiter, join } from "node:path";
import type { DataPaths, DoctorCheck } from "@devdev/protocol";
import { clearDeadMount, helperPath, hostMounts, type WorkspaceHost } from "@devdev/workspace";
import { idleCpus } from "./idle-cpus.js";
import { firstLine, ioUring } from "./io-uring.js";

const TOOLS = ["git", "node", "npm", "cargo", "python3", "go", "rg"] as const;

/** Runs every check; what is left of dead mounts is cleared on the way. */
export async function examine(host: WorkspaceHost, paths: DataPaths): Promise<DoctorCheck[]> {
  const checks = [
    fuseDevice(),
    fusermount(),
    helper(),
    userNamespaces(),
    ioUring(),
    idleCpus(),
    store(host, paths),
    deadMounts(),
  ];
  return [...(await Promise.all(checks)), ...(await tools())];
}

async function usable(path: string, mode: number): Promise<boolean> {
  return access(path, mode).then(
    () => true,
    () => false,
  );
}

async function fuseDevice(): Promise<DoctorCheck> {
  const name = "FUSE device";
  const error = await access("/dev/fuse", constants.R_OK | constants.W_OK).catch(
    (failure: NodeJS.ErrnoException) => failure,
  );
  if (!error) return { name, ok: true, detail: "/dev/fuse can be opened" };
  if (error.code === "ENOENT") {
    return {
      name,
      ok: false,
      detail: "/dev/fuse is missing: nothing can be mounted",
      hint: "load the kernel module with `modprobe fuse`; in a container, pass the device in (docker: --device /dev/fuse --cap-add SYS_ADMIN)",
    };
  }
  return {
    name,
    ok: false,
    detail: `/dev/fuse is there, but this user may not open it (${error.code ?? error.message})`,
    hint: "it should have mode 0666: `chmod 666 /dev/fuse` as root, or join the group that `ls -l /dev/fuse` shows",
  };
}

async function onPath(program: string): Promise<string | undefined> {
  for (const directory of (process.env["PATH"] ?? "/usr/bin:/bin").split(delimiter)) {
    const path = join(directory, program);
    if (await usable(path, constants.X_OK)) return path;
  }
  return undefined;
}

async function fusermount(): Promise<DoctorCheck> {
  const name = "fusermount3";
  if (process.getuid?.() === 0)
    return { name, ok: true, detail: "not needed: root mounts directly" };
  const path = await onPath("fusermount3");
  if (path) return { name, ok: true, detail: path };
  return {
    name,
    ok: false,
    detail: "not found: a user cannot mount",
    hint: "install the package fuse3",
  };
}

async function helper(): Promise<DoctorCheck> {
  const path = helperPath();
  const ok = await usable(path, constants.X_OK);
  const check = { name: "helper", ok, detail: ok ? path : `${path} is missing or not executable` };
  return ok ? check : { ...check, hint: "build it with scripts/build" };
}

async function userNamespaces(): Promise<DoctorCheck> {
  const name = "user namespaces";
  const limit = await firstLine("/proc/sys/user/max_user_namespaces");
  const restricted = await firstLine("/proc/sys/kernel/apparmor_restrict_unprivileged_userns");
  const ok = limit !== "0" && restricted !== "1";
  return {
    name,
    ok: true,
    detail: ok ? "available (not needed yet)" : "switched off on this host (not needed yet)",
  };
}

async function store(host: WorkspaceHost, paths: DataPaths): Promise<DoctorCheck> {
  const problems = await host.check();
  const ok = problems.length === 0;
  const check = {
    name: "store",
    ok,
    detail: ok ? `${paths.storeFile} is whole` : problems.slice(0, 5).join("; "),
  };
  return ok
    ? check
    : { ...check, hint: "export what can still be read and keep the file for a report" };
}

async function deadMounts(): Promise<DoctorCheck> {
  const name = "dead mounts";
  const mounts = await hostMounts();
  const tried = await Promise.allSettled(
    mounts.map(async ({ path }) => ((await clearDeadMount(path)) ? [path] : [])),
  );
  const cleared = tried.flatMap((one) => (one.status === "fulfilled" ? one.value : []));
  const failed = tried.flatMap((one) =>
    one.status === "rejected" ? [(one.reason as Error).message] : [],
  );
  if (failed.length > 0) {
    const hint =
      "if its daemon does not come back: `fusermount3 -uz DIRECTORY`, as root `umount -l DIRECTORY`";
    return { name, ok: false, detail: failed.join("; "), hint };
  }
  const detail = cleared.length === 0 ? "none" : `cleared: ${cleared.join(", ")}`;
  return { name, ok: true, detail };
}

async function tools(): Promise<DoctorCheck[]> {
  const found = await Promise.all(TOOLS.map(async (tool) => ({ tool, path: await onPath(tool) })));
  return found.map(({ tool, path }) => ({ name: tool, ok: true, detail: path ?? "not installed" }));
}
