"""The controller: turns a ResNetService into a conversion Job and a Triton Deployment."""

__version__ = "0.2.0"
