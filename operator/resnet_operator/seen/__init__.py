"""Objects of the cluster as the operator keeps them: frozen, and small."""
