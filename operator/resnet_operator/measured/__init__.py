"""What Prometheus is shown of objects: computed from the views when it asks, so nothing leaks."""
