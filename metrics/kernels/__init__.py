"""Faster forms of layers that the benchmarks show to earn their lines."""
