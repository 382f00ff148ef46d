"""Measurements that stand beside the claims of the documentation: `python -m benchmarks.NAME`."""
