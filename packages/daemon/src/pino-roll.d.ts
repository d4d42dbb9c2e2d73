// pino-roll ships no types: the part of its options that the log uses.
declare module "pino-roll" {
  import type { DestinationStream } from "pino";

  export default function roll(options: {
    file: string;
    size?: string | number;
    limit?: { count: number; removeOtherLogFiles?: boolean };
    mode?: number;
    sync?: boolean;
    maxLength?: number;
  }): Promise<DestinationStream & { on(event: "error", listener: () => void): unknown }>;
}
