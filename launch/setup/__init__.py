"""What a machine needs, and what it has."""
