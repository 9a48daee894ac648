"""What the gate does beside judging, and what the status says of it."""
