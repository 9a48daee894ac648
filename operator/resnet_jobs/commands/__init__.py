"""What `python -m resnet_jobs NAME` runs: one module for each container."""
