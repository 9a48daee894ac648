"""Conditions and status."""
