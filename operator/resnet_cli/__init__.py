"""kubectl-resnet: what a ResNetService does and why not, and the daily work with it.

Only `kube` speaks with the cluster. It gathers facts, pure functions make trees and tables of
them, and `show` prints these, for people or as JSON and YAML.
"""
