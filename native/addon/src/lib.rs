//! napi-rs face of the engine, the bridge and the packer: converts values, decides nothing.
