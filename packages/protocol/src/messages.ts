// The JSON-RPC methods of the daemon: names, parameters (checked by the daemon with these schemas)
// and results.

import { z } from "zod";
import type { HistoryEvent, TravelResult } from "./history.js";
import { type RetentionResults, retentionSchema, retentionSchemas } from "./retention.js";
import type { WorkspaceStats } from "./stats.js";
import { type StoreResults, storeSchemas } from "./store-report.js";
import type { DaemonStatus, DoctorCheck, WorkspaceStatus, WorkspaceSummary } from "./summaries.js";
import type { ExecRecord } from "./workspace-exec.js";
import type {
  RestoreResult,
  SnapshotInfo,
  WorkspaceSettings,
  WorkspaceUsage,
} from "./workspace.js";

// What a value may be is the library's to say, in the same words for every caller; here are types.
const ref = z.union([z.string(), z.number()]);
/** How a request names a workspace: its name or id, or a path inside its mount. */
const workspace = z.string().min(1);

/** A path, in bytes when it is not UTF-8. */
const path = z.union([z.string(), z.object({ b64: z.string() })]);
const autosnapshot = z.enum(["exec", "off"]).optional();
/** How a state becomes the live one. */
const travel = {
  workspace,
  steps: z.number().optional(),
  live: z.boolean().optional(),
  kill: z.boolean().optional(),
};

/** How a new workspace is made. */
const making = {
  autosnapshot,
  ephemeral: z.boolean().optional(),
  xattrs: z.boolean().optional(),
  durable: z.boolean().optional(),
  writeback: z.boolean().optional(),
  retention: retentionSchema.optional(),
  maxBytes: z.number().optional(),
  maxInodes: z.number().optional(),
  uid: z.number().optional(),
  gid: z.number().optional(),
};

/** Parameters by method. */
export const requestSchemas = {
  hello: z.object({ version: z.string(), protocol: z.number().int() }),
  "daemon/status": z.object({}),
  "daemon/stop": z.object({}),
  "workspace/list": z.object({}),
  /** Finds the workspace a command is for; see WorkspaceSelector. */
  "workspace/select": z.object({ workspace: workspace.optional(), cwd: z.string().optional() }),
  "workspace/mount": z.object({
    /** Absolute host path, made if missing; default: a fresh directory that goes at unmount. */
    path: z.string().min(1).optional(),
    /**
     * An existing workspace (or a new one's name); default: the workspace last mounted at `path`,
     * else a new one.
     */
    name: z.string().optional(),
    allowOther: z.boolean().optional(),
    transport: z.enum(["classic", "io_uring"]).optional(),
    ...making,
  }),
  /** A workspace without a mount (the SDK's Workspace.create through a daemon). */
  "workspace/create": z.object({ name: z.string().optional(), ...making }),
  "workspace/fork": z.object({ workspace, name: z.string().optional(), from: ref.optional() }),
  "workspace/unmount": z.object({ workspace, force: z.boolean().optional() }),
  "workspace/remove": z.object({ workspace, force: z.boolean().optional() }),
  "workspace/status": z.object({ workspace }),
  "workspace/usage": z.object({ workspace }),
  "workspace/stats": z.object({ workspace, reset: z.boolean().optional() }),
  "workspace/checkpoint": z.object({ workspace }),
  "workspace/processes": z.object({ workspace }),
  "snapshot/take": z.object({
    workspace,
    name: z.string().optional(),
    message: z.string().optional(),
  }),
  "snapshot/list": z.object({ workspace }),
  "snapshot/restore": z.object({
    workspace,
    ref,
    live: z.boolean().optional(),
    kill: z.boolean().optional(),
    paths: z.array(path).optional(),
  }),
  "workspace/configure": z.object({ workspace, autosnapshot }),
  "history/log": z.object({ workspace, limit: z.number().optional() }),
  "history/undo": z.object({
    ...travel,
    paths: z.array(path).optional(),
    turn: z.number().optional(),
    force: z.boolean().optional(),
  }),
  "history/redo": z.object(travel),
  /** Writes the export format to an absolute path (refuses to overwrite unless `force`). */
  "snapshot/export": z.object({
    workspace,
    ref: ref.optional(),
    file: z.string().min(1),
    force: z.boolean().optional(),
    tar: z.boolean().optional(),
  }),
  /** Makes a workspace from an exported file. */
  "workspace/import": z.object({
    file: z.string().min(1),
    name: z.string().optional(),
    numericOwner: z.boolean().optional(),
    /** A tar archive, perhaps compressed. */
    tar: z.boolean().optional(),
    /** False: the file only carries bytes; a workspace without a name is called at random then. */
    nameFromFile: z.boolean().optional(),
    ...making,
  }),
  doctor: z.object({}),
  ...retentionSchemas,
  ...storeSchemas,
} as const;

export type Method = keyof typeof requestSchemas;
export type Params<M extends Method> = z.input<(typeof requestSchemas)[M]>;

/** Results by method. */
export interface Results extends RetentionResults, StoreResults {
  hello: { version: string; protocol: number; pid: number };
  "daemon/status": DaemonStatus;
  "daemon/stop": { workspaces: number };
  "workspace/list": WorkspaceSummary[];
  "workspace/select": WorkspaceSummary;
  "workspace/mount": WorkspaceSummary & {
    created: boolean;
    durationMs: number;
    /** It was interrupted; what is back is the state of that time. */
    checkpointAt?: number;
  };
  "workspace/create": WorkspaceSummary;
  "workspace/fork": WorkspaceSummary & { durationMs: number };
  "workspace/unmount": { mountPoint: string };
  "workspace/remove": { id: string; name: string };
  "workspace/status": WorkspaceStatus;
  "workspace/usage": WorkspaceUsage;
  "workspace/stats": WorkspaceStats;
  "workspace/checkpoint": null;
  "workspace/processes": ExecRecord[];
  "snapshot/take": SnapshotInfo & { durationMs: number; pauseMs: number; filesChanged: number };
  "snapshot/list": SnapshotInfo[];
  "snapshot/restore": RestoreResult;
  "workspace/configure": Required<WorkspaceSettings>;
  "history/log": HistoryEvent[];
  "history/undo": TravelResult;
  "history/redo": TravelResult;
  "snapshot/export": {
    file: string;
    bytes: number;
    /** Inodes that the format has no place for. */
    skipped: number;
    id: string;
    durationMs: number;
  };
  "workspace/import": WorkspaceSummary & {
    bytes: number;
    /** Entries that were left out. */
    skipped: number;
    snapshot: SnapshotInfo;
  };
  doctor: DoctorCheck[];
}

/** Sent by the daemon while a request runs (JSON-RPC notification `progress`). */
export interface Progress {
  /** The request's `progressToken`. */
  token: string;
  /** What is being done, for people: "storing blocks". */
  stage: string;
  done?: number;
  total?: number;
}
