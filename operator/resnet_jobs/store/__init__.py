"""The artifact store: one module for each kind, and what all have in common."""
