"""Names that the operator, the container runtime or the loader own: nobody else may set them.

Each row has its reason. Who could set one would choose other devices than the scheduler, or run
other code in the server than its image holds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from resnet_operator.api.rules import Rule, matches

DEVICES = "the container runtime gives the container the devices that it names"
LOADER = "the loader or the interpreter runs code from where it points"
SHARE = "it says how much of a shared chip the container may take"
CONFINEMENT = "it takes the container's confinement away"
OURS = "the operator sets it"

# Exact names, and prefixes that end in "*".
VARIABLES = {
    "ASCEND_VISIBLE_DEVICES": DEVICES,
    "ASCEND_RT_VISIBLE_DEVICES": DEVICES,
    "ASCEND_RUNTIME_OPTIONS": DEVICES,
    "ASCEND_RUNTIME_MOUNTS": DEVICES,
    "ASCEND_VNPU_SPECS": DEVICES,
    "ASCEND_ALLOW_LINK": DEVICES,
    "NVIDIA_VISIBLE_DEVICES": DEVICES,
    "NVIDIA_DRIVER_CAPABILITIES": DEVICES,
    "NVIDIA_MIG_CONFIG_DEVICES": DEVICES,
    "NVIDIA_MIG_MONITOR_DEVICES": DEVICES,
    "NVIDIA_IMEX_CHANNELS": DEVICES,
    "NVIDIA_DISABLE_REQUIRE": DEVICES,
    "NVIDIA_REQUIRE_*": DEVICES,
    "CUDA_VISIBLE_DEVICES": DEVICES,
    "ROCR_VISIBLE_DEVICES": DEVICES,
    "HIP_VISIBLE_DEVICES": DEVICES,
    "CUDA_DEVICE_*": SHARE,
    "CUDA_MPS_*": SHARE,
    "NPU_*": SHARE,
    "LD_*": LOADER,
    "GCONV_PATH": LOADER,
    "GLIBC_TUNABLES": LOADER,
    "BASH_ENV": LOADER,
    "OPENSSL_CONF": LOADER,
    "PATH": LOADER,
    "PYTHONPATH": LOADER,
    "PYTHONHOME": LOADER,
    "PYTHONSTARTUP": LOADER,
    "PYTHONUSERBASE": LOADER,
    "PYTHONNOUSERSITE": OURS,
    "PYTHONPLATLIBDIR": LOADER,
    "PYTHONEXECUTABLE": LOADER,
    "PYTHONINSPECT": LOADER,
    "PYTHONBREAKPOINT": LOADER,
    "HOME": OURS,
    "ASCEND_PROCESS_LOG_PATH": OURS,
    "RESNET_*": OURS,
}
# Annotations of pods, by the part before the slash.
ANNOTATIONS = {
    "serving.resnet-operator.io": OURS,
    "app.kubernetes.io": OURS,
    "cdi.k8s.io": DEVICES,
    "huawei.com": DEVICES,
    "hami.io": DEVICES,
    "nvidia.com": DEVICES,
    "nri.io": DEVICES,
    "4pd.io": DEVICES,
    "container.apparmor.security.beta.kubernetes.io": CONFINEMENT,
    "container.seccomp.security.alpha.kubernetes.io": CONFINEMENT,
}
# Annotations that have no slash, by their beginnings.
BEGINNINGS = {
    "io.kubernetes.cri-o.": "CRI-O gives the container the devices and rights that it names",
    "io.katacontainers.": CONFINEMENT,
}
# Names of objects that are the operator's own, in each namespace.
RESERVED_NAME = "^(resnet-store|resnet-operator|rns-.*)$"
NAME = "^[a-z]([-a-z0-9]*[a-z0-9])?$"
MOST_OF_NAME = 40
NAME_RULE = Rule(
    f"self.metadata.name.size() <= {MOST_OF_NAME} && self.metadata.name.matches('{NAME}')",
    lambda name: len(name) > MOST_OF_NAME or not matches(NAME, name),
    "write a metadata.name of at most 40 lower-case letters, digits and '-' that begins with a "
    "letter, for example resnet50; children's names are made from it",
)
RESERVED_NAME_RULE = Rule(
    f"!self.metadata.name.matches('{RESERVED_NAME}')",
    lambda name: matches(RESERVED_NAME, name),
    "choose another metadata.name; resnet-store, resnet-operator and rns-… are names of the "
    "operator's own objects",
)
NAME_RULES = (NAME_RULE, RESERVED_NAME_RULE)


def _pattern(names: dict[str, str]) -> str:
    alternatives = (re.escape(name).replace(r"\*", ".*").replace(r"\-", "-") for name in names)
    return f"^({'|'.join(alternatives)})$"


VARIABLE = _pattern(VARIABLES)


def _alternatives(names: Iterable[str]) -> str:
    return "|".join(name.replace(".", "[.]") for name in names)


ANNOTATION = f"^(([^/]*[.])?({_alternatives(ANNOTATIONS)})/|{_alternatives(BEGINNINGS)})"

VARIABLES_RULE = Rule(
    f"self.all(item, !item.name.matches(r'{VARIABLE}'))",
    lambda env: any(matches(VARIABLE, str(item["name"])) for item in env),
    "remove the variables that the operator, the container runtime or the loader owns, for example "
    "ASCEND_VISIBLE_DEVICES, LD_PRELOAD, PYTHONPATH and RESNET_…; devices come from "
    "spec.accelerator (docs/reserved-names.md lists all)",
)
ANNOTATIONS_RULE = Rule(
    f"self.all(key, !key.matches(r'{ANNOTATION}'))",
    lambda annotations: any(matches(ANNOTATION, key) for key in annotations),
    "remove the annotations that choose devices, take confinement away or are the operator's: "
    f"{', '.join([*(f'{name}/…' for name in ANNOTATIONS), *(f'{name}…' for name in BEGINNINGS)])}",
)
