"""Triton's model repository: config.pbtxt and the files beside it."""
