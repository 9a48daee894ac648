"""Deployment, rollout and network of what serves."""
