// This process's standard streams and signals, bound to a command of the workspace for as long as
// it runs. However it ends, the terminal is left as it was found.

import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { constants } from "node:os";
import type { RemoteProcess } from "@devdev/client";
import type { ExitStatus } from "@devdev/protocol";

const FORWARDED = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2"] as const;
/** So often within the time, and a signal is for us: the command is deaf to it. */
const INSISTENT = 3;
const INSISTENT_MS = 2000;
/** A command that SIGPIPE did not end has so long, then its terminal or pipes are closed. */
const GONE_MS = 500;

export class Streams implements Disposable {
  readonly #command: RemoteProcess;
  readonly #undo: Array<() => void> = [];
  #readerGone = false;

  constructor(command: RemoteProcess) {
    this.#command = command;
  }

  forwardSignals(): void {
    for (const signal of FORWARDED) {
      let times: number[] = [];
      const forward = (): void => {
        void this.#command.kill(signal);
        const now = Date.now();
        times = [...times.filter((at) => now - at < INSISTENT_MS), now];
        if (times.length < INSISTENT) return;
        this[Symbol.dispose]();
        process.exit(128 + constants.signals[signal]);
      };
      process.on(signal, forward);
      this.#undo.push(() => process.off(signal, forward));
    }
  }

  /** With a terminal keys arrive one by one, and what they mean is the business of the other. */
  attachInput(terminal: boolean): void {
    const { stdin } = process;
    if (stdin.isTTY && inBackground()) return this.#attachInForeground(terminal);
    const raw = terminal && stdin.isTTY;
    if (raw) {
      stdin.setRawMode(true);
      // Node leaves output processing on; the command's own terminal has done that already. Where
      // there is no stty, line ends get a second carriage return.
      spawnSync("stty", ["-opost"], { stdio: ["inherit", "ignore", "ignore"] });
    }
    stdin.on("data", (chunk: Buffer) => {
      const written = this.#command.write(chunk).catch(() => undefined); // It reads no more.
      if (raw) return;
      stdin.pause();
      void written.then(() => stdin.resume());
    });
    stdin.on("end", () => void this.#command.end());
    // A directory, or a terminal that went away: no input is left either way.
    stdin.on("error", () => void this.#command.end());
    this.#undo.push(() => {
      if (raw) stdin.setRawMode(false);
      stdin.destroy();
    });
  }

  // The kernel stops a background job (below timeout(1), say, or started with &) that touches its
  // terminal.
  #attachInForeground(terminal: boolean): void {
    const again = (): void => {
      if (inBackground()) return;
      process.off("SIGCONT", again);
      this.attachInput(terminal);
    };
    process.on("SIGCONT", again);
    this.#undo.push(() => process.off("SIGCONT", again));
  }

  attachOutput(terminal: boolean): void {
    const command = this.#command;
    const { stdout, stderr } = process;
    const gone = (): void => {
      if (this.#readerGone) return;
      this.#readerGone = true;
      void command.kill("SIGPIPE");
      setTimeout(() => command.abandon(), GONE_MS).unref();
    };
    stdout.on("error", gone);
    stderr.on("error", gone);
    command.onOutput((chunk, stream) => {
      if (this.#readerGone) return;
      const target = stream === "stderr" ? stderr : stdout;
      if (target.write(chunk)) return;
      command.pause();
      target.once("drain", () => command.resume());
    });
    if (!terminal || !stdout.isTTY) return;
    const resize = (): void => {
      const { columns, rows } = stdout;
      if (columns > 0 && rows > 0) void command.resize(columns, rows);
    };
    stdout.on("resize", resize);
    this.#undo.push(() => stdout.off("resize", resize));
  }

  /** How it ended; with the exit code of SIGPIPE when nobody reads any more. */
  async ended(): Promise<Pick<ExitStatus, "exitCode" | "unrecorded">> {
    try {
      return await this.#command.wait();
    } catch (error) {
      if (this.#readerGone) return { exitCode: 128 + constants.signals.SIGPIPE };
      throw error;
    }
  }

  [Symbol.dispose](): void {
    this.#undo.splice(0).forEach((undo) => undo());
  }
}

/** Whether the terminal belongs to another process group than ours. */
function inBackground(): boolean {
  if (process.platform !== "linux") return false;
  const stat = readFileSync("/proc/self/stat", "utf8");
  // Behind the name, which may hold anything: state, ppid, pgrp, session, tty, tpgid.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return fields[2] !== fields[5];
}
