// The Workspace interface, and the messages, schemas and framing between daemon and clients. Separate
// because the in-process library and the client implement the same interface.
