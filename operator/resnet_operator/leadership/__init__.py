"""Which process, and which installation, may act."""
