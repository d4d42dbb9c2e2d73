// The core VFS: a Node-shaped fs API, snapshots and the host mount over the native addon, which nothing
// else imports.
