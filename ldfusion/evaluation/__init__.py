"""Fusion metrics, their tables, and the evaluation of whole folders."""
