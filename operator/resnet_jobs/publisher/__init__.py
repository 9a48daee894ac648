"""What the publisher of a model says about it: labels, size, scale and framing of pictures."""
