"""The order of a Job, RESNET_JOB, as it is read."""
