"""Declared and default values become decided ones, or a sentence says why not."""
