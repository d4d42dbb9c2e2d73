// What the environment needs to know of the host, read from it. Separate so that environment.ts
// stays pure.
import fs from "node:fs";
import os from "node:os";
import path from "node:path";

import type { Host } from "./environment.js";

export function readHost(): Host {
  const { name: user, home } = currentUser();
  return { user, home, isDirectory, isFile, realPath, findOnPath };
}

/** The user's login shell, for `devdev shell`. */
export function userShell(): string {
  return currentUser().shell;
}

/** A uid without an entry in the user database (a container) goes by its number. */
function currentUser(): { name: string; home: string; shell: string } {
  try {
    const { username, homedir, shell } = os.userInfo();
    return { name: username, home: homedir, shell: shell || "/bin/sh" };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ERR_SYSTEM_ERROR") throw error;
    return { name: String(process.getuid?.() ?? "user"), home: "/", shell: "/bin/sh" };
  }
}

function isDirectory(directory: string): boolean {
  return fs.statSync(directory, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

function isFile(file: string): boolean {
  return fs.statSync(file, { throwIfNoEntry: false })?.isFile() ?? false;
}

/** The path itself where it leads nowhere. */
function realPath(file: string): string {
  try {
    return fs.realpathSync(file);
  } catch {
    return file;
  }
}

/** The first executable file of that name on a PATH; empty and relative entries do not count. */
export function findOnPath(name: string, searchPath: string): string | undefined {
  const directories = searchPath.split(path.delimiter).filter(path.isAbsolute);
  return directories.map((directory) => path.join(directory, name)).find(isExecutable);
}

function isExecutable(file: string): boolean {
  try {
    fs.accessSync(file, fs.constants.X_OK);
    return fs.statSync(file).isFile();
  } catch {
    // Not there, or not for us: the search goes on, as in execvp.
    return false;
  }
}
