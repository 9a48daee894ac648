"""What changes while one looks: the watch of the objects, and how far they are."""
