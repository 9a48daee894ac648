"""The support bundle: what goes into it, and what must not."""
