"""What the operator, its Jobs and its pods say to each other: each word and each bound once.

The operator builds an order and reads it back before it makes a Job, so what it accepts the Job
accepts. The standard library alone, and nothing of the other packages: all of them import this.
"""
