// What the daemon refuses before it does anything.

import type { WorkspaceHost } from "@devdev/workspace";
import { expect, test, vi } from "vitest";
import { createHandlers, type HandlerContext } from "./handlers.ts";
import type { CallContext } from "./rpc.ts";

function handlers(checkpoint: () => Promise<void>) {
  const host = {
    opened: () => [{ checkpoint }],
    list: async () => [],
  } as unknown as WorkspaceHost;
  const stop = vi.fn<HandlerContext["stop"]>(async () => undefined);
  const made = createHandlers({ host, stop } as unknown as HandlerContext);
  return { stop, ask: async () => made["daemon/stop"]({}, {} as CallContext) };
}

test("S28: a stop whose checkpoint the store cannot take is refused, and loses nothing", async () => {
  const { stop, ask } = handlers(() => Promise.reject(new Error("committing: disk is full")));
  await expect(ask()).rejects.toThrow("the daemon goes on: committing: disk is full");
  expect(stop).not.toHaveBeenCalled();
});

test("a stop checkpoints first", async () => {
  const { stop, ask } = handlers(async () => expect(stop).not.toHaveBeenCalled());
  expect(await ask()).toEqual({ workspaces: 0 });
  expect(stop).toHaveBeenCalledOnce();
});
