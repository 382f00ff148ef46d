"""Small seeded models for plumbing: random weights, labelled so."""
