"""A benchmark: its source, its names, and its shards in the store."""
