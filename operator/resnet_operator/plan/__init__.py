"""What has to be done and said, from what was observed. Pure: no clock, no I/O.

`make_plan` is the one entry; `reconcile` executes its actions and writes its status.
"""

from resnet_operator.plan.actions import Action, Apply, Create, Delete, Event, Plan
from resnet_operator.plan.make import make_plan

__all__ = ["Action", "Apply", "Create", "Delete", "Event", "Plan", "make_plan"]
