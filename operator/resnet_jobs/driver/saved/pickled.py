"""Reads a pickle as data: a machine of our own, in which nothing can be called.

A pickle is a program that looks up names and calls them. Python's own unpickler runs it, and what
guards there are differ with the version of torch. Here a name stays a name: the few that a
checkpoint needs stand in `names.py` with what they mean, any other ends the reading, and no name is
ever looked up. So nothing can run, whatever is in the file. Called by torch_file.py.
"""

from __future__ import annotations

import pickletools
import warnings
from typing import Any, Callable, Dict, List, Optional

from ..checkpoint import MisfitError
from .names import Inert, Name, Storage, called, known, stored

MOST_BYTES = 64 << 20  # names, shapes and a training's log; the numbers lie elsewhere
MOST_STEPS = 4_000_000
SAVE_HINT = "save the weights alone: torch.save(model.state_dict(), path)"
MARK = object()
DAMAGE = (
    *(ValueError, IndexError, KeyError, TypeError, AttributeError, OverflowError),
    DeprecationWarning,
)
SCALARS = (str, int, float, bytes, type(None))


def read_pickle(file: Any, storages: Optional[Dict[str, Storage]] = None) -> Any:
    """What the pickle at the file's position describes; leaves the position behind it.

    `storages` gets all that are named in it, also where nothing uses them.
    """
    source: Any = _Bounded(file)
    machine = _Machine({} if storages is None else storages)
    try:
        with warnings.catch_warnings():
            # Of escapes that nobody's pickle has: on its way to become a ValueError.
            warnings.simplefilter("error", DeprecationWarning)
            for opcode, argument, _ in pickletools.genops(source):
                machine.step(opcode.name, argument)
    except MisfitError:
        raise
    except DAMAGE as error:
        raise MisfitError(
            "the file's pickle is damaged ({}): put the file there again".format(
                " ".join(str(error).split())[:80] or type(error).__name__
            )
        ) from error
    return machine.answer


class _Bounded:
    """The file, of which a pickle may read so much and no more."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self._left = MOST_BYTES

    def read(self, count: int) -> bytes:
        self._take(count)
        return bytes(self._file.read(count))

    def readline(self) -> bytes:
        line = bytes(self._file.readline(self._left + 1))
        self._take(len(line))
        return line

    def _take(self, count: int) -> None:
        if not 0 <= count <= self._left:
            raise MisfitError("the checkpoint holds more than weights; " + SAVE_HINT)
        self._left -= count


class _Machine:
    """The pickle machine: a stack, a memory, and values that are plain data."""

    def __init__(self, storages: Dict[str, Storage]) -> None:
        self.answer: Any = None
        self.storages = storages
        self._stack: List[Any] = []
        self._memo: Dict[int, Any] = {}
        self._steps = 0

    def step(self, name: str, argument: Any) -> None:
        self._steps += 1
        if self._steps > MOST_STEPS:
            raise MisfitError("the checkpoint holds more than weights; " + SAVE_HINT)
        if name in VALUES:
            self._stack.append(argument if VALUES[name] is None else VALUES[name]())
        elif name in STEPS:
            STEPS[name](self, argument)
        else:
            raise _unknown("the step {}".format(name))

    def pop(self) -> Any:
        value = self._stack.pop()
        if value is MARK:
            raise ValueError("a mark where a value should be")
        return value

    def push(self, value: Any) -> None:
        self._stack.append(value)

    def top(self) -> Any:
        if self._stack[-1] is MARK:
            raise ValueError("a mark where a value should be")
        return self._stack[-1]

    def to_mark(self) -> List[Any]:
        """What lies above the last mark, which goes with it."""
        values = []
        while self._stack[-1] is not MARK:
            values.append(self._stack.pop())
        self._stack.pop()
        return values[::-1]

    def stop(self, _: Any) -> None:
        self.answer = self.pop()

    def remember(self, index: Any) -> None:
        self._memo[len(self._memo) if index is None else index] = self.top()

    def recall(self, index: Any) -> None:
        self.push(self._memo[index])

    def drop(self, _: Any) -> None:
        self._stack.pop()

    def drop_to_mark(self, _: Any) -> None:
        self.to_mark()

    def double(self, _: Any) -> None:
        self.push(self.top())

    def name(self, argument: Any) -> None:
        module, _, name = argument.partition(" ")
        self.push(_known(module, name))

    def name_of_stack(self, _: Any) -> None:
        name, module = self.pop(), self.pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise _unknown("a name that is not text")
        self.push(_known(module, name))

    def call(self, _: Any) -> None:
        arguments, name = self.pop(), self.pop()
        self.push(_called(name, arguments))

    def call_with_names(self, _: Any) -> None:
        _named, arguments, name = self.pop(), self.pop(), self.pop()
        self.push(_called(name, arguments))

    def build(self, _: Any) -> None:
        """The state of an object. Weights need none; `set_state` keeps what some values do."""
        state, value = self.pop(), self.top()
        if isinstance(value, Inert):
            value.set_state(state)
        elif not isinstance(value, (dict, list)) and not hasattr(value, "storage"):
            raise _unknown("a state for a value that has none")

    def storage(self, _: Any) -> None:
        storage = stored(self.pop())
        if self.storages.setdefault(storage.key, storage) != storage:
            raise ValueError("one storage of two kinds")
        self.push(storage)

    def append(self, _: Any) -> None:
        self._extend([self.pop()])

    def append_many(self, _: Any) -> None:
        self._extend(self.to_mark())

    def _extend(self, values: List[Any]) -> None:
        target = self.top()
        if isinstance(target, list):
            target.extend(values)
        elif not isinstance(target, Inert):
            raise ValueError("a list is missing")

    def set_item(self, _: Any) -> None:
        value, key = self.pop(), self.pop()
        _fill(self.top(), [key, value])

    def set_items(self, _: Any) -> None:
        pairs = self.to_mark()
        _fill(self.top(), pairs)

    def make_tuple(self, _: Any) -> None:
        self.push(tuple(self.to_mark()))

    def make_list(self, _: Any) -> None:
        self.push(self.to_mark())

    def make_dict(self, _: Any) -> None:
        pairs = self.to_mark()
        self.push(_fill({}, pairs))

    def make_pair(self, _: Any) -> None:
        last, first = self.pop(), self.pop()
        self.push((first, last))

    def make_triple(self, _: Any) -> None:
        last, middle, first = self.pop(), self.pop(), self.pop()
        self.push((first, middle, last))


def _fill(target: Any, pairs: List[Any]) -> Any:
    """Keys are plain: hashing a tuple of tuples of tuples can take for ever."""
    if isinstance(target, Inert):
        return target
    if not isinstance(target, dict) or len(pairs) % 2:
        raise ValueError("a dictionary is missing")
    for key, value in zip(pairs[::2], pairs[1::2]):  # noqa: B905
        target[_key(key)] = value
    return target


def _key(key: Any) -> Any:
    parts = key if isinstance(key, tuple) else (key,)
    if len(parts) > 8 or not all(isinstance(part, SCALARS) for part in parts):
        return "<{}>".format(type(key).__name__)
    return key


def _known(module: str, name: str) -> Name:
    if not known(module, name):
        raise _unknown("{}.{}".format(module, name)[:160])
    return Name(module, name)


def _called(name: Any, arguments: Any) -> Any:
    if not isinstance(arguments, tuple):
        raise ValueError("arguments that are no tuple")
    if isinstance(name, Name):
        return called(name, arguments)
    raise _unknown("a call of something without a name")


def _unknown(what: str) -> MisfitError:
    if "_rebuild_qtensor" in what or "_affine" in what or "torch.ao." in what:
        return MisfitError(
            "the weights are quantized by PyTorch ({}): bring the ones before quantization, and "
            "write spec.conversion.quantization to have AMCT quantize them".format(what)
        )
    return MisfitError(
        "the checkpoint holds more than weights ({}): save torch.save(model.state_dict(), path); "
        "loading this one would run code from it".format(what)
    )


# What pushes its argument, or (with a function) a new value.
VALUES: Dict[str, Any] = {
    **dict.fromkeys(("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4")),
    **dict.fromkeys(("FLOAT", "BINFLOAT", "STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE")),
    **dict.fromkeys(("SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "BYTEARRAY8")),
    **dict.fromkeys(("BINBYTES", "SHORT_BINBYTES", "BINBYTES8")),
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "EMPTY_DICT": dict,
    "EMPTY_SET": lambda: Inert("set"),
    "MARK": lambda: MARK,
}
STEPS: Dict[str, Callable[[_Machine, Any], None]] = {
    "PROTO": lambda *_: None,
    "FRAME": lambda *_: None,
    "STOP": _Machine.stop,
    "POP": _Machine.drop,
    "POP_MARK": _Machine.drop_to_mark,
    "DUP": _Machine.double,
    "APPEND": _Machine.append,
    "APPENDS": _Machine.append_many,
    "ADDITEMS": _Machine.append_many,
    "LIST": _Machine.make_list,
    "TUPLE": _Machine.make_tuple,
    "TUPLE1": lambda machine, _: machine.push((machine.pop(),)),
    "TUPLE2": _Machine.make_pair,
    "TUPLE3": _Machine.make_triple,
    "DICT": _Machine.make_dict,
    "FROZENSET": lambda machine, _: machine.push(tuple(machine.to_mark())),
    "SETITEM": _Machine.set_item,
    "SETITEMS": _Machine.set_items,
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"), _Machine.remember),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), _Machine.recall),
    "GLOBAL": _Machine.name,
    "STACK_GLOBAL": _Machine.name_of_stack,
    "REDUCE": _Machine.call,
    "NEWOBJ": _Machine.call,
    "NEWOBJ_EX": _Machine.call_with_names,
    "BUILD": _Machine.build,
    "BINPERSID": _Machine.storage,
}
