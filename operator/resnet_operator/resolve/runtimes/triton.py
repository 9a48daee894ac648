"""Whether this Triton knows the flags that an object asks for. Called by `resolve`. Pure."""

from __future__ import annotations

from resnet_contract.words import ModelFormat
from resnet_operator.api.spec import ResNetServiceSpec
from resnet_operator.errors import InvalidSpec
from resnet_operator.resolve.config_overrides import brought_flags

OLD = "remove {}; OneFlow's image has Triton 21.10, which does not know it"


def check_triton(spec: ResNetServiceSpec, model_format: ModelFormat) -> None:
    """Raise InvalidSpec for flags that are not known."""
    serving = spec.serving
    arguments = serving.extra_args or []
    if model_format is not ModelFormat.ONEFLOW:
        return
    if serving.tracing:
        raise InvalidSpec(OLD.format("serving.tracing"))
    for argument in arguments:
        if not argument.startswith("--log-"):
            raise InvalidSpec(OLD.format(f"{argument.split('=')[0]} from serving.extraArgs"))
    overrides = serving.config_overrides
    for option in brought_flags(overrides) if overrides else ():
        raise InvalidSpec(OLD.format(f"{option} from serving.configOverrides"))
