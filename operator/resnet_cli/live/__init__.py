"""What changes while one looks: the watch of the objects, and the progress of their Jobs."""
