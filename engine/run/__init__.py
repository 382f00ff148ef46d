"""Carrying a plan out: what is ready, who does it, what follows from a failure."""
