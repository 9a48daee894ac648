"""Makes what is said twice about the custom resource: CRD, chart copy, field and reason reference.

A developer's tool (`make generate`, `make verify`); the running operator never imports it.
"""
