"""Metrics on images."""
