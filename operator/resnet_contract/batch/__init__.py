"""What operator and Job say to each other of a ResNetBatch."""
