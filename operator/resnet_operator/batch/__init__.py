"""The second kind: a ResNetBatch becomes one Job, and its status says how far that is."""
