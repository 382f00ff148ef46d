"""Benchmarks in the layouts that their authors publish."""
