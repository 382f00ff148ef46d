"""Judges: a chat model under a protocol, and rules."""
