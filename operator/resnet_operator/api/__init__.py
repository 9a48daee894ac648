"""The custom resource: what a user writes (`spec`), what they read (`status`) and the reasons.

Everything that the CRD, the chart's copy of it and the field reference say comes from here.
"""

from resnet_operator.api.reasons import Reason

GROUP = "serving.resnet-operator.io"
VERSION = "v1alpha1"
KIND = "ResNetService"
PLURAL = "resnetservices"
API_VERSION = f"{GROUP}/{VERSION}"

__all__ = ["API_VERSION", "GROUP", "KIND", "PLURAL", "VERSION", "Reason"]
