"""A run decided before anything runs, and what enters its keys."""
