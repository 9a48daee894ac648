"""Many requests to one server, and what the time that they took says."""
