// Versions of the program and of its protocol; apart from the schemas, so that a client loads no
// validator.

/** Grows with every change that an older peer would misunderstand. */
export const PROTOCOL_VERSION = 1;
/** The version of devdev. */
export const VERSION = "0.1.0";
