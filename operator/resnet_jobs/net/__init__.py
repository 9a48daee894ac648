"""Guarded connections: which addresses may be reached, how bytes are moved."""
