"""Tables of others as benchmarks: the mapping language, and what reads by it."""
