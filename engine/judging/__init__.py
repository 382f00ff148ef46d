"""Judging: protocols, prompts, strict reading of replies, sentinels. Pure; no model in here."""
