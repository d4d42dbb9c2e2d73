// BlockStore, MetadataStore and their SQLite implementation. Separate so that the only code that knows
// SQL runs in its own worker threads.
