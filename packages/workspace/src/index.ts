// The library: vfs, exec and store put together in one process, as the Workspace interface of
// @devdev/protocol.
