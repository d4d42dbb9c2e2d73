// Bytes that come piece by piece to standard output, as fast as whoever reads it takes them.

import { once } from "node:events";
import { constants } from "node:os";

/** Returns what the pieces return; a reader that has gone ends the program as SIGPIPE would. */
export async function pour<T>(
  pieces: AsyncGenerator<Buffer, T>,
  onProgress?: (bytesDone: number) => void,
): Promise<T> {
  const { stdout } = process;
  const gone = (error: NodeJS.ErrnoException): void => {
    if (error.code !== "EPIPE") process.stderr.write(`devdev: ${error.message}\n`);
    process.exit(error.code === "EPIPE" ? 128 + constants.signals.SIGPIPE : 1);
  };
  stdout.on("error", gone);
  for (let done = 0; ;) {
    const next = await pieces.next();
    if (next.done) {
      stdout.off("error", gone);
      return next.value;
    }
    if (!stdout.write(next.value)) await once(stdout, "drain");
    done += next.value.length;
    onProgress?.(done);
  }
}
