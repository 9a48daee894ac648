"""What pods have in common."""
