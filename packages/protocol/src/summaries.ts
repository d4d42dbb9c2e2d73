// What the daemon tells of workspaces, of itself and of its host.

import type { StoreQuota } from "./retention.js";
import type { ExecRecord } from "./workspace-exec.js";
import type { Autosnapshot, MountTransport, SnapshotInfo, WorkspaceUsage } from "./workspace.js";

/** One workspace as lists show it. */
export interface WorkspaceSummary {
  id: string;
  name: string;
  /** Where it is mounted now. */
  mountPoint?: string;
  /** How requests come in, while it is mounted. */
  transport?: MountTransport;
  /** Why it is classic although io_uring was to be used. */
  whyClassic?: string;
  /** Where it was mounted last. */
  lastMountPoint?: string;
  /**
   * It was mounted when its daemon died, and has not been mounted since: its state is that of the
   * checkpoint (none: it is as new).
   */
  interrupted?: { mountPoint: string; checkpointAt?: number };
  ephemeral: boolean;
  /** fsync waits for the store. */
  durable: boolean;
  /** The kernel keeps writes back, or may when it is mounted. */
  writeback: boolean;
  /** Which commands are recorded as turns. */
  autosnapshot: Autosnapshot;
  createdAt: number;
  snapshots: number;
  /** Name, at that time, of the workspace that it was forked from. */
  forkOf?: string;
}

/** One workspace in full. */
export interface WorkspaceStatus extends WorkspaceSummary {
  usage: WorkspaceUsage;
  processes: ExecRecord[];
  latestSnapshot?: SnapshotInfo;
  /** The store that it shares with all workspaces of the data directory. */
  store?: StoreQuota;
}

export interface DaemonStatus {
  pid: number;
  version: string;
  protocol: number;
  uptimeMs: number;
  startedAt: number;
  home: string;
  socket: string;
  memory: { rss: number; heapUsed: number; external: number };
  workspaces: WorkspaceSummary[];
}

/** One thing doctor looked at. */
export interface DoctorCheck {
  name: string;
  ok: boolean;
  /** What was found, one sentence. */
  detail: string;
  /** What to do about it. */
  hint?: string;
}
