//! Trees as bytes: what goes to the store, and the export format.
