"""How far running Jobs are, by the end of their own logs (docs/decisions/132)."""
