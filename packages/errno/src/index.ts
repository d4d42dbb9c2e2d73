// FsError and the errno table. Separate because both sides of the protocol and the engine's face need
// the same errors, and it depends on nothing.
