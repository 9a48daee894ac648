"""The names that a checkpoint may hold, and what each means here: tensors, numbers, or nothing.

A closed list. What a training keeps beside its weights (arguments, a log, a schedule) is known by
name so that it need not be taken out first; it becomes `Inert` and is not looked at.
"""

from __future__ import annotations

import struct
from typing import Any, Callable, Dict, List, NamedTuple, Tuple

from ..checkpoint import MisfitError

# Name of a storage's class or of a type -> (this project's name, bytes of one number)
TYPES: Dict[str, Tuple[str, int]] = {
    "FloatStorage": ("float32", 4), "float32": ("float32", 4),
    "HalfStorage": ("float16", 2), "float16": ("float16", 2),
    "BFloat16Storage": ("bfloat16", 2), "bfloat16": ("bfloat16", 2),
    "DoubleStorage": ("float64", 8), "float64": ("float64", 8),
    "LongStorage": ("int64", 8), "int64": ("int64", 8),
    "IntStorage": ("int32", 4), "int32": ("int32", 4),
    "ShortStorage": ("int16", 2), "int16": ("int16", 2),
    "CharStorage": ("int8", 1), "int8": ("int8", 1),
    "ByteStorage": ("uint8", 1), "uint8": ("uint8", 1),
    "BoolStorage": ("bool", 1), "bool": ("bool", 1),
    "UntypedStorage": ("bytes", 1),
}  # fmt: skip
SIZES = dict(TYPES.values())
MOST_DIMENSIONS = 8
# struct's letter of what numpy calls it
NUMBERS = {"f8": "d", "f4": "f", "f2": "e", "i8": "q", "i4": "i", "i2": "h", "i1": "b",
           "u8": "Q", "u4": "I", "u2": "H", "u1": "B", "b1": "?"}  # fmt: skip


class Name(NamedTuple):
    """A name as it stands in the file. It is never looked up."""

    module: str
    name: str


class Storage(NamedTuple):
    """A block of numbers in the file: `length` of them."""

    kind: str
    key: str
    length: int


class Tensor(NamedTuple):
    """A view of a storage, inside its bounds and no larger than it."""

    kind: str
    storage: Storage
    offset: int
    shape: Tuple[int, ...]
    strides: Tuple[int, ...]

    @property
    def length(self) -> int:
        total = 1
        for size in self.shape:
            total *= size
        return total


class Inert:
    """A value that is not needed; keeps nothing but the state of numpy's types."""

    def __init__(self, name: str, code: str = "") -> None:
        self.name = name
        self.code = code
        self.swapped = False

    def set_state(self, state: Any) -> None:
        order = state[1] if isinstance(state, tuple) and len(state) > 1 else "<"
        self.swapped = order in (">", b">")


def stored(identity: Any) -> Storage:
    """What a persistent id names: ("storage", class, key, device, count[, None])."""
    if not isinstance(identity, tuple) or len(identity) not in (5, 6) or identity[0] != "storage":
        raise _damaged("a reference to something other than numbers")
    _, kind, key, _, count = identity[:5]
    if len(identity) == 6 and identity[5] is not None:
        raise _damaged("a view of a storage, as PyTorch before 0.4 wrote")
    name = kind.name if isinstance(kind, Name) else ""
    if name not in TYPES or not isinstance(key, str) or not _is_whole(count):
        raise _damaged("a storage of an unknown type")
    return Storage(TYPES[name][0], key, count)


def known(module: str, name: str) -> bool:
    """Whether a checkpoint may hold the name."""
    return (
        (module, name) in CALLS
        or (module, name) in INERT
        or (
            module in ("torch", "torch.cuda", "torch.storage")
            and (name in TYPES or name == "device")
        )
    )


def called(name: Name, arguments: Tuple[Any, ...]) -> Any:
    """What the call of a known name would make, as data."""
    call = CALLS.get((name.module, name.name))
    if call is not None:
        return call(*arguments)
    if (name.module, name.name) in INERT or name == ("torch", "device"):
        return Inert(name.name)
    raise _damaged("{}.{} as a function".format(*name))


def tensor(storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> Tensor:
    """A view; `MisfitError` for one that reaches outside, or repeats numbers to look larger."""
    if not isinstance(storage, Storage):
        raise _damaged("a tensor without numbers")
    return _view(storage, storage.kind, offset, shape, strides)


def _typed_tensor(storage: Any, offset: Any, shape: Any, strides: Any, *more: Any) -> Tensor:
    """Of newer PyTorch: the storage is bytes, and the type stands beside it."""
    kind = more[2] if len(more) > 2 else None
    name = kind.name if isinstance(kind, Name) else ""
    if name not in TYPES or not isinstance(storage, Storage):
        raise _damaged("a tensor of an unknown type")
    kind_name, size = TYPES[name]
    if storage.kind not in ("bytes", kind_name):
        raise _damaged("a tensor of another type than its numbers")
    if storage.kind == "bytes":
        storage = Storage(kind_name, storage.key, storage.length // size)
    return _view(storage, kind_name, offset, shape, strides)


def _view(storage: Storage, kind: str, offset: Any, shape: Any, strides: Any) -> Tensor:
    numbers = [offset, *_numbers(shape), *_numbers(strides)]
    if len(_numbers(shape)) != len(_numbers(strides)) or not all(map(_is_whole, numbers)):
        raise _damaged("a tensor with an impossible shape")
    view = Tensor(kind, storage, offset, tuple(shape), tuple(strides))
    last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides))  # noqa: B905
    if view.length and last >= storage.length:
        raise _damaged("a tensor that reaches outside of its numbers")
    if view.length > storage.length:
        raise _damaged("a tensor with more numbers than the file has for it")
    return view


def _numbers(value: Any) -> List[Any]:
    if not isinstance(value, (tuple, list)) or len(value) > MOST_DIMENSIONS:
        raise _damaged("a tensor with an impossible shape")
    return list(value)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 62


def _parameter(data: Any, *_: Any) -> Any:
    return data


def _of_type(function: Any, _kind: Any, arguments: Any, *_: Any) -> Any:
    """A tensor with attributes of its own, which do not matter."""
    if not isinstance(function, Name) or function.name not in REBUILT:
        raise _damaged("a tensor of a class of its own")
    return REBUILT[function.name](*arguments)


def _dictionary(pairs: Any = (), *_: Any) -> Dict[Any, Any]:
    if not isinstance(pairs, (list, tuple)):
        return {}
    return {pair[0]: pair[1] for pair in pairs if len(pair) == 2 and isinstance(pair[0], str)}


def _sequence(values: Any = (), *_: Any) -> Tuple[Any, ...]:
    return tuple(values) if isinstance(values, (list, tuple)) else ()


def _encoded(text: Any, encoding: Any = "latin1") -> bytes:
    """How Python 3 writes bytes into an old pickle. Other codecs could unpack bombs."""
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise _damaged("bytes in another code than latin1")
    return text.encode("latin1")


def _numpy_type(code: Any = "", *_: Any) -> Inert:
    return Inert("dtype", code if isinstance(code, str) else "")


def _scalar(kind: Any, data: Any = b"", *_: Any) -> Any:
    """A number that numpy wrote; of another kind it does not matter."""
    letter = NUMBERS.get(getattr(kind, "code", "").lstrip("<=|"), "")
    if not letter or not isinstance(data, bytes) or len(data) != struct.calcsize("<" + letter):
        return Inert("scalar")
    return struct.unpack((">" if kind.swapped else "<") + letter, data)[0]


def _inert(*_: Any) -> Inert:
    return Inert("value")


def _damaged(what: str) -> MisfitError:
    return MisfitError(
        "the checkpoint is damaged, or was made to do harm: it has {}; put the file there again, "
        "or save torch.save(model.state_dict(), path)".format(what)
    )


Call = Callable[..., Any]
REBUILT: Dict[str, Call] = {
    "_rebuild_tensor": tensor,
    "_rebuild_tensor_v2": tensor,
    "_rebuild_tensor_v3": _typed_tensor,
    "_rebuild_parameter": _parameter,
    "_rebuild_parameter_with_state": _parameter,
}
CALLS: Dict[Tuple[str, str], Call] = {
    ("collections", "OrderedDict"): _dictionary,
    ("collections", "Counter"): _inert,
    ("collections", "defaultdict"): lambda *_: {},
    **{("torch._utils", name): call for name, call in REBUILT.items()},
    ("torch._tensor", "_rebuild_from_type_v2"): _of_type,
    ("torch", "Size"): _sequence,
    ("_codecs", "encode"): _encoded,
    **{
        (module, name): call
        for module in ("builtins", "__builtin__")
        for name, call in (
            ("set", _inert), ("frozenset", _inert), ("list", _sequence), ("tuple", _sequence),
            ("dict", _dictionary), ("bytearray", _inert), ("complex", _inert), ("slice", _inert),
            ("range", _inert),
        )
    },
    ("numpy", "dtype"): _numpy_type,
    **{
        ("{}.multiarray".format(module), name): call
        for module in ("numpy.core", "numpy._core")
        for name, call in (("scalar", _scalar), ("_reconstruct", _inert))
    },
    ("numpy.core.numeric", "_frombuffer"): _inert,
    ("numpy._core.numeric", "_frombuffer"): _inert,
    ("copyreg", "_reconstructor"): _inert,
    ("copy_reg", "_reconstructor"): _inert,
}  # fmt: skip
INERT = {
    ("builtins", "object"), ("__builtin__", "object"), ("builtins", "int"), ("builtins", "float"),
    ("__builtin__", "int"), ("__builtin__", "float"), ("builtins", "str"), ("builtins", "bool"),
    ("numpy", "ndarray"),
    ("torch.nn.parameter", "Parameter"), ("torch", "Tensor"),
    ("argparse", "Namespace"), ("types", "SimpleNamespace"),
    ("pathlib", "PosixPath"), ("pathlib", "PurePosixPath"), ("pathlib", "WindowsPath"),
    ("pathlib._local", "PosixPath"), ("pathlib", "Path"),
    ("datetime", "datetime"), ("datetime", "timedelta"), ("datetime", "date"),
    ("uuid", "UUID"),
    ("addict.addict", "Dict"), ("mmcv.utils.config", "ConfigDict"),
    ("mmengine.config.config", "ConfigDict"), ("mmengine.config.config", "Config"),
    ("mmengine.logging.history_buffer", "HistoryBuffer"),
    ("pytorch_lightning.utilities.parsing", "AttributeDict"),
    ("lightning_fabric.utilities.data", "AttributeDict"),
    ("lightning.fabric.utilities.data", "AttributeDict"),
}  # fmt: skip
