"""What runs inside the containers of a conversion Job and before a serving container.

Started as ``python3 -m resnet_jobs <command>``. The operator never imports this package: the two
talk through the environment variable RESNET_JOB and through termination messages.
"""
