"""Where files lie, and what a file is by its name."""
