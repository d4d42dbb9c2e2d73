// Which commands there are, with their options and help.

import { type Command, Option } from "commander";
import { branchCommands } from "./branch-table.js";
import { daemonCommands } from "./daemon-table.js";
import { autosnapshotOption, historyCommands } from "./history-table.js";
import { bytes, count, gather, seconds } from "./option-values.js";
import { storeCommands } from "./store-commands.js";

export type Action = (...args: never[]) => Promise<number | void>;
/** Makes what commander calls of what loads the action. */
export type Act = (load: () => Promise<Action>) => (...args: unknown[]) => Promise<void>;
export type Add = (
  spec: string,
  description: string,
  examples: string[],
  /** It is not about one workspace, so its help does not speak of -w. */
  general?: "general",
) => Command;

/** Adds them all. */
export function defineCommands(program: Command, act: Act): void {
  const add: Add = (spec, description, examples, general) =>
    program
      .command(spec)
      .description(description)
      .addHelpText("after", `\nExamples:\n${examples.map((line) => `  $ ${line}`).join("\n")}`)
      .addOption(
        new Option(
          "-w, --workspace <name|path>",
          "the workspace (default: the one around the current directory, or the only one)",
        ).hideHelp(general === "general"),
      )
      .addOption(new Option("--json", "print data as JSON"));
  workspaceCommands(add, act);
  execCommands(add, act);
  snapshotCommands(add, act);
  historyCommands(add, act);
  branchCommands(add, act);
  storeCommands(add, act);
  daemonCommands(add, act);
}

function workspaceCommands(add: Add, act: Act): void {
  add(
    "mount [directory]",
    "mount a workspace at a directory (default: ./ws), made if missing",
    [
      "devdev mount ./ws",
      "devdev mount --name scratch --ephemeral /tmp/scratch",
      "devdev mount --limit 4g ./ws",
      "devdev mount --writeback ./ws",
    ],
    "general",
  )
    .option("--name <name>", "the workspace's name, or an existing workspace")
    .option("--ephemeral", "keep nothing in the store: the state ends with the daemon")
    .option("--durable", "fsync waits for the store, from now on (--no-durable takes it back)")
    .addOption(new Option("--no-durable").hideHelp())
    .option(
      "--writeback",
      "the kernel may hand over writes later, from now on (--no-writeback takes it back)",
    )
    .addOption(new Option("--no-writeback").hideHelp())
    .addOption(autosnapshotOption())
    .option("--allow-other", "let other users enter")
    .addOption(
      new Option(
        "--transport <how>",
        "how requests come in (default: io_uring where it can be had)",
      ).choices(["classic", "io_uring"]),
    )
    .option("--no-xattrs", "offer no extended attributes (a new workspace only)")
    .option("--limit <bytes>", "most bytes of content, e.g. 500m, 16g", bytes)
    .option("--max-inodes <n>", "most inodes", count)
    .action(act(async () => (await import("./commands/mount.js")).mount));
  add("unmount [workspace]", "unmount a workspace after a checkpoint", [
    "devdev unmount ./ws",
    "devdev unmount --force",
  ])
    .alias("umount")
    .option("-f, --force", "also when processes use it")
    .action(act(async () => (await import("./commands/mount.js")).unmount));
  add("ls", "list the workspaces", ["devdev ls", "devdev ls --json"], "general").action(
    act(async () => (await import("./commands/status.js")).list),
  );
  add("status", "show a workspace: usage, what a crash would lose, commands that run", [
    "devdev status",
  ]).action(act(async () => (await import("./commands/status.js")).status));
  add("stats", "what a mount serves: requests with times and bytes, by kind", [
    "devdev stats",
    "devdev stats --watch",
    "devdev stats --watch 0.5 --json | jq -c '.requests[] | [.name, .count]'",
    "devdev stats --reset",
  ])
    .option(
      "--watch [seconds]",
      "what happened in each interval (default: 2), until Ctrl-C",
      seconds,
    )
    .option("--reset", "begin anew behind these figures")
    .action(act(async () => (await import("./commands/stats.js")).stats));
  add("rm <workspace>", "remove a workspace with its snapshots", ["devdev rm scratch"], "general")
    .option("-f, --force", "also when it is mounted")
    .option("-y, --yes", "do not ask")
    .action(act(async () => (await import("./commands/remove.js")).remove));
}

function execCommands(add: Add, act: Act): void {
  const common = (command: Command): Command =>
    command
      .option(
        "--cwd <dir>",
        "working directory (absolute: inside the workspace, or a host path below the mount)",
      )
      .option("-e, --env <name=value>", "set a variable (repeatable)", gather, [])
      .option("--pass-env <name>", "take a variable over from here (repeatable)", gather, [])
      .option("--path <dir>", "directory in front of the PATH (repeatable)", gather, [])
      .option("--profile <name>", "toolchain: node, rust, python, go (repeatable)", gather, [])
      .option("--snapshot", "record it, with a snapshot before and after (--no-snapshot: do not)")
      .addOption(new Option("--no-snapshot").hideHelp())
      .option("-t, --tty", "a terminal even when output is no terminal")
      .option("-T, --no-tty", "plain pipes instead of a terminal");
  common(
    add("exec <command> [args...]", "run a command in the workspace", [
      "devdev exec -- git clone https://example.org/app.git",
      "devdev exec --profile rust --cwd /app -- cargo build",
      "echo hello | devdev exec -T -- tr a-z A-Z",
      "devdev exec --timeout 60 -- npm test",
      "devdev exec --snapshot -- npx some-codemod",
    ]),
  )
    .option("--timeout <seconds>", "TERM after this time, KILL 2 s later; exit code 124", seconds)
    .passThroughOptions()
    .action(act(async () => (await import("./commands/exec.js")).exec));
  common(
    add("shell [args...]", "start your shell in the workspace", [
      "devdev shell",
      "devdev shell -c 'ls -la'",
    ]),
  )
    .passThroughOptions()
    // Options that are not ours are the shell's.
    .allowUnknownOption()
    .action(act(async () => (await import("./commands/exec.js")).shell));
}

function snapshotCommands(add: Add, act: Act): void {
  add("snapshot", "take a snapshot; prints its id once it is durable", [
    "devdev snapshot -m 'before the refactoring'",
    "devdev snapshot --name good --json",
  ])
    .option("-m, --message <text>", "what it is for")
    .option("--name <name>", "a name to restore it by")
    .action(act(async () => (await import("./commands/snapshot.js")).snapshot));
  add("snapshots", "list the snapshots, oldest first", [
    "devdev snapshots",
    "devdev snapshots --json",
  ]).action(act(async () => (await import("./commands/snapshot.js")).snapshots));
  add("restore <snapshot> [paths...]", "make a snapshot (id, name, -1) the live state, or paths", [
    "devdev restore good",
    "devdev restore -1",
    "devdev restore --live 3fa9c1",
    "devdev restore good -- src package.json",
  ])
    .option("--live", "pause commands that run, restore, let them go on")
    .option("--kill", "kill commands that run first")
    .action(act(async () => (await import("./commands/snapshot.js")).restore));
  add("diff [a] [b]", "what changed: newest snapshot to now, A to now, or A to B", [
    "devdev diff",
    "devdev diff --stat good",
    "devdev diff -p good -1",
    "devdev diff --binary --host ~/app | git -C ~/app apply",
    "devdev diff --against main:good --stat",
  ])
    .option("--stat", "count added and removed lines")
    .option("--name-only", "paths and nothing else")
    .option("-p, --patch", "a patch in git's format")
    .option("--binary", "the same, with what is in binary files")
    .option("--host <directory>", "what changed from a directory of the host to A (default: now)")
    .option("--against <workspace[:snapshot]>", "what changed from there to A (default: now)")
    .option("-R, --reverse", "the other way round")
    .action(act(async () => (await import("./commands/diff.js")).diff));
  add("export <file> [snapshot]", "write a snapshot (default: the live state) to a file, or to -", [
    "devdev export app.ddws good",
    "devdev export --tar app.tar",
    "devdev export --tar - good | zstd > app.tar.zst",
  ])
    .option("-f, --force", "replace the file")
    .option("--tar", "a tar archive of its files, without its home")
    .action(act(async () => (await import("./commands/transfer.js")).exportTo));
  add(
    "import <file>",
    "make a workspace from an exported file, or from -",
    [
      "devdev import app.ddws --name app",
      "devdev import --tar app.tar.gz",
      "git archive HEAD | devdev import --tar - --name app",
    ],
    "general",
  )
    .option("--name <name>", "its name")
    .option("--tar", "the file is a tar archive, perhaps compressed (gzip, zstd)")
    .option("--numeric-owner", "keep owners as numbers also when not root")
    .action(act(async () => (await import("./commands/transfer.js")).importFrom));
}
