"""Batch interfaces of vendors of hosted models."""
