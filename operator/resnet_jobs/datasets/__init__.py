"""Labelled pictures for the evaluator, in five formats."""
