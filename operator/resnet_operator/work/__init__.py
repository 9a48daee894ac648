"""Which object's turn it is."""
