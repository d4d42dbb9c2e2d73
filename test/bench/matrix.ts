// Which contenders a run has: those of the command line, or the whole matrix of kinds, transports
// and users.

import { patternOf, refused } from "../harness/arguments.ts";
import { base } from "../harness/base.ts";
import { isRoot } from "../harness/identity.ts";
import { command, type Contender, contender, directoryIn, tmpfs, workspace } from "./contenders.ts";
import { USAGE } from "./usage.ts";

export interface Choice {
  workspace: string[];
  also: string[];
  "also-command": string[];
  matrix: boolean;
  prototype?: string;
  contenders?: string;
}

/** A workspace as small as it gets, and as one gets it. */
const KINDS = { bare: "--ephemeral --no-xattrs", default: "" };

export function chosen(choice: Choice): Contender[] {
  const on = (place: string): Contender => contender(place, () => tmpfs());
  const all = [
    on("tmpfs"),
    contender("disk", () => directoryIn(base(), "a directory on the disk")),
  ];
  if (choice.matrix) {
    if (isRoot()) all.splice(1, 0, on("tmpfs@user"));
    all.push(...matrix(choice.prototype));
  }
  for (const [name, options] of pairs(choice.workspace)) {
    all.push(contender(name, (transport) => workspace(options, transport)));
  }
  for (const [name, path] of pairs(choice.also)) {
    all.push(contender(name, () => directoryIn(path, `a directory in ${path}`)));
  }
  for (const [name, line] of pairs(choice["also-command"])) {
    all.push(contender(name, (transport) => command(line, transport)));
  }
  const given = all.length > 2;
  if (!given) all.push(contender("workspace", () => workspace("")));
  const wanted = patternOf(USAGE, "contenders", choice.contenders ?? "");
  return all.filter(({ name }) => wanted.test(name));
}

/** Both transports, as root and as a user. */
function matrix(prototype: string | undefined): Contender[] {
  const all: Contender[] = [];
  for (const transport of ["classic", "io_uring"] as const) {
    for (const suffix of isRoot() ? ["", "@user"] : [""]) {
      const name = (kind: string): string => `${kind}-${transport}${suffix}`;
      if (prototype !== undefined && isRoot()) {
        const line = prototype
          .replaceAll("{perm}", suffix === "" ? "0" : "1")
          .replaceAll("{uring}", transport === "io_uring" ? "1" : "0");
        all.push(contender(name("prototype"), () => command(line, transport)));
      }
      for (const [kind, options] of Object.entries(KINDS)) {
        const flags = `--transport ${transport} ${options}`.trim();
        all.push(contender(name(kind), () => workspace(flags, transport)));
      }
    }
  }
  return all;
}

function pairs(options: string[]): [string, string][] {
  return options.map((text) => {
    const at = text.indexOf("=");
    if (at < 1) refused(USAGE, `${text}: not NAME=VALUE`);
    return [text.slice(0, at), text.slice(at + 1)];
  });
}
