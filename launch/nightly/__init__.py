"""Nights: run, gate, publish, tell."""
