"""What others wrote: what a file is by how it begins, and text that a terminal may show."""
