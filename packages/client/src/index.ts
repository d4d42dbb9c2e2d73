// The typed client of the daemon: the same Workspace interface as the in-process library, over a socket.
