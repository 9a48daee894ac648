"""The gate: a candidate is measured before it serves."""
