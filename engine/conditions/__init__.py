"""Conditions: what is given, or what a judge is shown, changes; what is compared does not."""
