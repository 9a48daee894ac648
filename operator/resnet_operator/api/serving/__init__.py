"""How a model is served: `spec.serving` and what runtimes add."""
