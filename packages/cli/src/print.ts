// Printing for people: tables, sizes, times; and JSON for programs.

import { onOneLine } from "@devdev/protocol";

export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
}

/** One line, whatever is in the names of which it speaks. */
export function line(text: string): void {
  process.stdout.write(`${onOneLine(text)}\n`);
}

/** Several at once: a system call for each takes its time. */
export async function lines(texts: readonly string[]): Promise<void> {
  if (texts.length > 0) await write(`${texts.map(onOneLine).join("\n")}\n`);
}

/** Waits while nobody takes it. A reader that has gone is the business of main.ts alone. */
export async function write(text: string): Promise<void> {
  if (text === "" || process.stdout.write(text)) return;
  await new Promise((resolve) => process.stdout.once("drain", resolve));
}

/** Columns as wide as their widest cell. */
export function table(head: string[], cells: string[][]): void {
  const rows = cells.map((row) => row.map(onOneLine));
  const widths = head.map((cell, n) =>
    Math.max(cell.length, ...rows.map((row) => (row[n] ?? "").length)),
  );
  for (const row of [head, ...rows]) {
    line(
      row.map((cell, n) => (n === row.length - 1 ? cell : cell.padEnd(widths[n] ?? 0))).join("  "),
    );
  }
}

export function size(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let [value, unit] = [bytes, 0];
  while (value >= 1024 && unit < units.length - 1) [value, unit] = [value / 1024, unit + 1];
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}

export function duration(ms: number): string {
  if (ms < 1000) return `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
  const seconds = ms / 1000;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const minutes = Math.floor(seconds / 60);
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** Nanoseconds, in the unit that leaves three digits or fewer before the point. */
export function span(ns: number): string {
  const units = ["ns", "µs", "ms", "s"];
  let [value, unit] = [ns, 0];
  while (value >= 1000 && unit < units.length - 1) [value, unit] = [value / 1000, unit + 1];
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

export function time(ms: number): string {
  const date = new Date(ms);
  const two = (n: number): string => String(n).padStart(2, "0");
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

/** A snapshot's id as lists show it. */
export function shortId(id: string): string {
  return id.slice(0, 12);
}
