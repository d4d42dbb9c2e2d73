//! Tests of the path-level API.
