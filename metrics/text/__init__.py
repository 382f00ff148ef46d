"""Metrics on text."""
