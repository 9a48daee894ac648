"""Which runtime serves a model: by chip and format, or as declared where that fits.

Called by `resolve`. The CRD's rules say the same; this is for objects that are older than they.
Pure.
"""

from __future__ import annotations

from resnet_contract.words import ModelFormat
from resnet_operator.api.serving.runtime import Runtime
from resnet_operator.api.spec import ResNetServiceSpec
from resnet_operator.errors import InvalidSpec
from resnet_operator.resolve.runtimes.rows import runtimes_for


def runtime_of(spec: ResNetServiceSpec, model_format: ModelFormat) -> Runtime:
    """Return the runtime, never Auto; raises InvalidSpec for one that cannot serve this."""
    chip = spec.accelerator.chip
    possible = runtimes_for(chip, model_format)
    if not possible:
        raise InvalidSpec(f"no runtime serves format {model_format} on chip {chip}; write another")
    wanted = spec.serving.runtime or Runtime.AUTO
    if wanted is Runtime.AUTO:
        return possible[0]
    if wanted not in possible:
        raise InvalidSpec(
            f"serving.runtime {wanted} cannot serve format {model_format} on chip "
            f"{spec.accelerator.chip}; write {' or '.join(possible)}, or remove it"
        )
    return wanted
