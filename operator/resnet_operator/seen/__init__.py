"""What is read out of a pod beyond its containers' states. Called by `observed`."""
