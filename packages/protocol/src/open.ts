// The first frame of a stream connection: what it is for. Apart from the JSON-RPC methods, which
// have no streams.

import { z } from "zod";

const ref = z.union([z.string(), z.number()]);
const workspace = z.string().min(1);

const execOptions = z.object({
  cwd: z.string().optional(),
  env: z.record(z.string(), z.string()).optional(),
  passEnv: z.array(z.string()).optional(),
  /** Of the caller's environment what passEnv and profiles may take; nothing else arrives. */
  callerEnv: z.record(z.string(), z.string()).optional(),
  profiles: z.array(z.string()).optional(),
  path: z.array(z.string()).optional(),
  pty: z
    .union([
      z.boolean(),
      z.object({ cols: z.number(), rows: z.number(), term: z.string().optional() }),
    ])
    .optional(),
  timeoutMs: z.number().optional(),
  killGraceMs: z.number().optional(),
  umask: z.number().optional(),
  snapshot: z.boolean().optional(),
  /** The user's login shell instead of argv (`devdev shell`). */
  shell: z.boolean().optional(),
});

/** Two states of workspaces, or one and a directory of the host. */
const compared = {
  workspace,
  a: z.string().optional(),
  b: z.string().optional(),
  host: z.string().optional(),
  against: z.object({ workspace, snapshot: ref.optional() }).optional(),
  reverse: z.boolean().optional(),
  binary: z.boolean().optional(),
};

/** The version of who opens; the daemon refuses what it may misunderstand before it does any. */
const opener = { version: z.string(), protocol: z.number() };

/** First frame of a stream connection. */
export const openSchema = z.discriminatedUnion("kind", [
  z.object({
    ...opener,
    kind: z.literal("exec"),
    workspace: workspace.optional(),
    /**
     * Host directory of the caller, to find the workspace (and the working directory inside it).
     */
    callerCwd: z.string().optional(),
    argv: z.array(z.union([z.string(), z.object({ b64: z.string() })])).min(1),
    options: execOptions,
  }),
  /** File calls on a workspace's `fs`, and on its snapshots. */
  z.object({ ...opener, kind: z.literal("files"), workspace }),
  /** A patch comes as output, then (exit) null. */
  z.object({
    ...opener,
    kind: z.literal("patch"),
    ...compared,
    /** What this event of the history, or the last command, changed, instead of `a` to `b`. */
    event: z.union([z.number(), z.literal("last")]).optional(),
  }),
  /**
   * A difference comes as output (JSON of a DiffPiece without patch) and, what there is of a patch,
   * as error output; then (exit) null.
   */
  z.object({
    ...opener,
    kind: z.literal("diff"),
    ...compared,
    stat: z.boolean().optional(),
    patch: z.boolean().optional(),
  }),
  /** What an event of the history changed, as a difference comes; a piece with the event first. */
  z.object({
    ...opener,
    kind: z.literal("show"),
    workspace,
    /** Default: the last command. */
    turn: z.number().optional(),
    stat: z.boolean().optional(),
    patch: z.boolean().optional(),
    binary: z.boolean().optional(),
  }),
  /**
   * `fork` is merged into `workspace`, whether or not the client stays; what was changed and
   * conflicts come as output (JSON of a MergePiece), then (exit) the rest of a MergeResult.
   */
  z.object({
    ...opener,
    kind: z.literal("merge"),
    workspace,
    fork: workspace,
    resolve: z.enum(["ours", "theirs", "markers"]).optional(),
    firstWins: z.boolean().optional(),
    dryRun: z.boolean().optional(),
    live: z.boolean().optional(),
    kill: z.boolean().optional(),
  }),
  /** An export comes as output, then (exit) what was left out. */
  z.object({
    ...opener,
    kind: z.literal("export"),
    workspace,
    ref: ref.optional(),
    tar: z.boolean().optional(),
  }),
  /** Input is imported, then comes (exit) what `workspace/import` answers. */
  z.object({
    ...opener,
    kind: z.literal("import"),
    name: z.string().optional(),
    numericOwner: z.boolean().optional(),
    tar: z.boolean().optional(),
  }),
  /** Where the daemon hands its log over: the last `lines`, then (follow) as it is written. */
  z.object({
    ...opener,
    kind: z.literal("logs"),
    lines: z.number().int().nonnegative(),
    follow: z.boolean(),
  }),
]);
type Opened = z.input<typeof openSchema>;
/** Without what every one of them says. */
export type Open = Opened extends infer O
  ? O extends Opened
    ? Omit<O, keyof typeof opener>
    : never
  : never;
