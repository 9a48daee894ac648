"""What others wrote, read once and within bounds: a value of the right type, or a Misfit."""
