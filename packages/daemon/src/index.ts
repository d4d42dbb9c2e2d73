// The daemon: owns workspaces and serves the protocol over a socket. Separate because it is the only
// process that hosts mounts.
