"""Parts of the spec that Kubernetes defines and the operator passes on, typed as Kubernetes does.

All of a kind's fields stand here, for the API server drops what a schema does not name.
"""
