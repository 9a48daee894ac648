"""Which object is at fault, at which step, and what to do: pure, from facts."""
