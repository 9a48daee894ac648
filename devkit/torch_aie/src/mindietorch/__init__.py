"""The later name of TorchAIE: the same simulator. Only where an image or a test wants this name."""

from torch_aie import (  # noqa: F401
    Input,
    __version__,
    _enums,
    compile,  # noqa: A004
    export_engine,
    finalize,
    npu,
    set_device,
)
