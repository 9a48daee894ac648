"""What has to be done and said, from what was observed. Pure: no clock, no I/O.

`make.make_plan` is the one entry; `reconcile` executes its actions and writes its status.
"""
