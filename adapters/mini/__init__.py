"""The embedded miniature benchmark and what it is made from."""
