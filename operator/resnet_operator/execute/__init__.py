"""Doing what a plan says: the verbs against the API server, and whose an object in the way is."""

from resnet_operator.execute.executor import Executor

__all__ = ["Executor"]
