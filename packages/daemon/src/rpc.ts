// A JSON-RPC connection: checks parameters against the protocol's schemas, calls the handler, turns
// errors into response errors that carry every field. Separate from the handlers, which know no
// wire.

import type { Socket } from "node:net";
import { DevdevError, errorToPlain } from "@devdev/errno";
import {
  MAX_FRAME,
  type Method,
  type Progress,
  requestSchemas,
  type Results,
} from "@devdev/protocol";
import {
  createMessageConnection,
  ErrorCodes,
  ResponseError,
  StreamMessageReader,
  StreamMessageWriter,
} from "vscode-jsonrpc/node";
import { invalidParams } from "./invalid-params.js";
import { entryOf } from "./journal.js";
import type { Logger } from "./log.js";
import { boundedMessages } from "./message-bound.js";

/** What a handler may use beside its parameters. */
export interface CallContext {
  progress(stage: string, done?: number, total?: number): void;
  /** Aborted when the client cancels the request or goes away. */
  signal: AbortSignal;
}

/** Handlers by method; parameters are what the schema made of them. */
export type Handlers = {
  [M in Method]: (
    params: ReturnType<(typeof requestSchemas)[M]["parse"]>,
    context: CallContext,
  ) => Promise<Results[M]> | Results[M];
};

/** Serves one connection until it closes. */
export function serveRpc(socket: Socket, handlers: Handlers, log: Logger): void {
  const connection = createMessageConnection(
    new StreamMessageReader(boundedMessages(socket, MAX_FRAME)),
    new StreamMessageWriter(socket),
  );
  const gone = new AbortController();
  connection.onClose(() => gone.abort());
  connection.onError(([error]) => {
    // An answer that nobody waits for any more is no error; after a malformed message nothing that
    // follows can be told apart from it.
    if (!gone.signal.aborted) log.warn({ err: error }, "connection error");
    socket.destroy();
  });
  connection.onRequest(async (method, params, token) => {
    const started = performance.now();
    const cancelled = new AbortController();
    token.onCancellationRequested(() => cancelled.abort());
    const [argument, progressToken] = splitToken(params);
    const context: CallContext = {
      signal: AbortSignal.any([gone.signal, cancelled.signal]),
      progress(stage, done, total) {
        if (progressToken === undefined || gone.signal.aborted) return;
        const progress: Progress = { token: progressToken, stage };
        if (done !== undefined) progress.done = done;
        if (total !== undefined) progress.total = total;
        connection.sendNotification("progress", progress).catch(() => gone.abort());
      },
    };
    try {
      const result = await call(handlers, method, argument, context);
      const ms = Math.round(performance.now() - started);
      const [message, fields] = entryOf(method, result, argument) ?? [];
      if (message === undefined) log.debug({ method, ms }, "request");
      else log.info({ ...fields, method, ms }, message);
      return result;
    } catch (error) {
      const ms = Math.round(performance.now() - started);
      log.info({ method, ms, ...subjectOf(argument), err: error }, "request failed");
      return toResponseError(error);
    }
  });
  connection.listen();
}

/** Which workspace a request was for, as it named it. */
function subjectOf(argument: unknown): { workspace?: unknown } {
  const { workspace, name } = argument as { workspace?: unknown; name?: unknown };
  const subject = workspace ?? name;
  return subject === undefined ? {} : { workspace: subject };
}

function splitToken(params: unknown): [unknown, string | undefined] {
  const first: unknown = Array.isArray(params) ? params[0] : params;
  if (typeof first !== "object" || first === null || !("progressToken" in first))
    return [first ?? {}, undefined];
  const { progressToken, ...rest } = first;
  return [rest, typeof progressToken === "string" ? progressToken : undefined];
}

async function call(
  handlers: Handlers,
  method: string,
  params: unknown,
  context: CallContext,
): Promise<unknown> {
  if (!Object.hasOwn(requestSchemas, method)) {
    throw new DevdevError("ERR_UNKNOWN_METHOD", `this daemon has no method ${method}`, {
      hint: "restart it with `devdev daemon stop`: it may be older than the client",
    });
  }
  const name = method as Method;
  const parsed = requestSchemas[name].safeParse(params);
  if (!parsed.success) throw invalidParams(method, parsed.error);
  const handler = handlers[name] as (params: unknown, context: CallContext) => unknown;
  return handler(parsed.data, context);
}

function toResponseError(error: unknown): ResponseError<unknown> {
  const data = errorToPlain(error);
  const code =
    data.code === "ERR_UNKNOWN_METHOD" ? ErrorCodes.MethodNotFound : ErrorCodes.InternalError;
  return new ResponseError(
    data.code === "ERR_INVALID_PARAMS" ? ErrorCodes.InvalidParams : code,
    data.message,
    data,
  );
}
