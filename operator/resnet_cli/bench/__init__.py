"""How fast a service answers: which points are measured, by whom, and what Triton says of it."""
