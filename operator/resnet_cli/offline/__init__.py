"""What the operator and its Jobs would do, by their own pure parts, and without a cluster."""
