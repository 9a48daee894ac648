"""Which ResNet the weights are of, from names and shapes; or the sentence why they are not.

Called by `convert`. Pure. What shapes cannot show (where a stage halves the picture, how the stem
pools) is taken from what the publisher says or what the object says, and is asked for where
neither does: a guess would be served as wrong answers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from resnet_jobs.checkpoints.architecture import Architecture, Stem
from resnet_jobs.checkpoints.hints import Hints
from resnet_jobs.checkpoints.layouts import MMCLS, ONNX_HINT, plain_head, to_torchvision
from resnet_jobs.checkpoints.weights_file import Entry
from resnet_jobs.driver.checkpoint import FIELD, MisfitError

Shape = tuple[int, ...]
NORM = ("weight", "bias", "running_mean", "running_var")
DEEP_STEM = ("conv1.0", "conv1.3", "conv1.6")


@dataclass(frozen=True)
class Asked:
    """What the object says of the network, as far as it does."""

    style: str | None = None
    stem: str | None = None


@dataclass(frozen=True)
class Recognised:
    """The network and its weights by torchvision's names."""

    architecture: Architecture
    weights: Mapping[str, Entry]
    notes: tuple[str, ...] = ()


def recognise(weights: Mapping[str, Entry], *, hints: Hints, asked: Asked) -> Recognised:
    """`MisfitError` with a sentence where it cannot be said which network this is."""
    publisher, renamed = to_torchvision(weights)
    renamed, notes = plain_head(renamed)
    hints.refuse_other_networks()
    shapes = {name: value.shape for name, value in renamed.items()}
    found = _Shapes(shapes)
    architecture = _settle(found.read(publisher), hints=hints, asked=asked)
    found.refuse_rest()
    return Recognised(architecture, renamed, notes)


def _settle(found: Architecture, *, hints: Hints, asked: Asked) -> Architecture:
    """Adds what no shape shows."""
    style = asked.style or hints.style
    if style is None and found.bottleneck and found.publisher == MMCLS:
        raise MisfitError(
            "mmcls builds two networks with these weights, and the file does not say which: write "
            f"{FIELD}.style: PyTorch (the usual one; stages halve in the 3x3 convolution) or Caffe "
            "(in the first 1x1)",
            field=True,
        )
    if found.stem is Stem.SMALL and found.publisher != MMCLS and asked.stem is None:
        raise MisfitError(
            "the first convolution is 3x3, and nothing says whether the stem halves or pools: "
            f"write {FIELD}.stem: CIFAR if it does neither, as in networks for 32x32 pictures; "
            f"else {ONNX_HINT}",
            field=True,
        )
    if asked.stem == "CIFAR" and found.stem is not Stem.SMALL:
        raise MisfitError(
            f"{FIELD}.stem CIFAR: the first convolution is not 3x3, so remove the field", field=True
        )
    return replace(
        found,
        stride_in_first=style == "Caffe" and found.bottleneck,
        halves_at_once=hints.halves_at_once,
        epsilon=hints.epsilon,
    )


class _Shapes:
    """Takes the shapes apart, name by name; what is left over was not understood."""

    def __init__(self, shapes: Mapping[str, Shape]) -> None:
        self._shapes = shapes
        self._left = set(shapes)

    def read(self, publisher: str) -> Architecture:
        stem, channels, widths = self._stem()
        inputs, first = channels, None
        blocks: list[int] = []
        pooled: set[bool] = set()
        while self._has(f"layer{len(blocks) + 1}.0.conv1.weight"):
            stage = len(blocks) + 1
            count = 0
            while self._has(f"layer{stage}.{count}.conv1.weight"):
                block = f"layer{stage}.{count}"
                kind, outputs = self._block(block, inputs)
                first = first or kind
                if kind[:2] != first[:2]:
                    raise self._odd(f"{block} is built otherwise than layer1.0")
                pooled |= self._shortcut(block, inputs, outputs, halves=stage > 1 and count == 0)
                inputs, count = outputs, count + 1
            blocks.append(count)
        if first is None:
            raise self._odd("layer1 is missing")
        return Architecture(
            publisher=publisher,
            bottleneck=first[0],
            blocks=tuple(blocks),
            stem=stem,
            stem_widths=widths,
            groups=first[1],
            width=first[2],
            pooled_shortcut=True in pooled,
            channels=self._shapes[self._first_convolution(stem)][1],
            classes=self._head(inputs),
        )

    def _first_convolution(self, stem: Stem) -> str:
        return "conv1.0.weight" if stem is Stem.DEEP else "conv1.weight"

    def _stem(self) -> tuple[Stem, int, tuple[int, ...]]:
        """(kind, channels that come out, channels of each convolution)."""
        if self._has("conv1.0.weight"):
            widths: list[int] = []
            inputs: int | None = None
            for name, norm in zip(DEEP_STEM, ("conv1.1", "conv1.4", "bn1"), strict=True):
                inputs = self._convolution(name, inputs, kernel=3)
                self._norm(norm, inputs)
                widths.append(inputs)
            return Stem.DEEP, widths[-1], tuple(widths)
        shape = self._take("conv1.weight")
        kernel = shape[2] if len(shape) == 4 else 0
        stem = {7: Stem.PLAIN, 3: Stem.SMALL}.get(kernel)
        if stem is None or shape[2] != shape[3]:
            raise self._odd(f"conv1.weight has the shape {list(shape)}")
        self._norm("bn1", shape[0])
        return stem, shape[0], (shape[0],)

    def _block(self, block: str, inputs: int) -> tuple[tuple[bool, int, int], int]:
        """((bottleneck, groups, width of a group), channels that come out)."""
        if not self._has(f"{block}.conv3.weight"):
            middle = self._convolution(f"{block}.conv1", inputs, kernel=3)
            self._norm(f"{block}.bn1", middle)
            outputs = self._convolution(f"{block}.conv2", middle, kernel=3)
            self._norm(f"{block}.bn2", outputs)
            return (False, 1, middle), outputs
        middle = self._convolution(f"{block}.conv1", inputs, kernel=1)
        self._norm(f"{block}.bn1", middle)
        grouped = self._shapes.get(f"{block}.conv2.weight", (0, 0))
        groups = middle // grouped[1] if len(grouped) == 4 and grouped[1] else 0
        if not groups or groups * grouped[1] != middle or grouped[0] % groups:
            raise self._odd(f"{block}.conv2.weight has the shape {list(grouped)}")
        wide = self._convolution(f"{block}.conv2", grouped[1], kernel=3)
        self._norm(f"{block}.bn2", wide)
        outputs = self._convolution(f"{block}.conv3", wide, kernel=1)
        self._norm(f"{block}.bn3", outputs)
        return (True, groups, wide // groups), outputs

    def _shortcut(self, block: str, inputs: int, outputs: int, *, halves: bool) -> set[bool]:
        """{whether it pools}: a pool in front of the convolution moves it to the next number."""
        numbers = sorted(
            int(found[1])
            for name in self._left
            if (found := re.match(rf"{re.escape(block)}\.downsample\.(\d+)\.", name))
        )
        if not numbers:
            if halves or inputs != outputs:
                raise self._odd(f"{block}.downsample is missing")
            return set()
        first = numbers[0]
        if first > 1:
            raise self._odd(f"{block}.downsample begins with number {first}")
        if self._convolution(f"{block}.downsample.{first}", inputs, kernel=1) != outputs:
            raise self._odd(f"{block}.downsample does not fit its block")
        self._norm(f"{block}.downsample.{first + 1}", outputs)
        return {first == 1} if halves else set()

    def _head(self, inputs: int) -> int:
        shape = self._shapes.get("fc.weight")
        if shape is None:
            others = sorted({name.split(".")[0] for name in self._left})
            beside = f" (there is {', '.join(others[:3])})" if others else ""
            raise MisfitError(
                f"the weights have no layer fc that tells classes apart{beside}: they are of a "
                "network without a head, as for detection or features; bring a classifier"
            )
        self._take("fc.weight")
        if len(shape) != 2 or shape[1] != inputs:
            raise self._odd(f"fc.weight has the shape {list(shape)}, not [classes, {inputs}]")
        if self._has("fc.bias") and self._take("fc.bias") != shape[:1]:
            raise self._odd("fc.bias does not fit fc.weight")
        return shape[0]

    def _convolution(self, name: str, inputs: int | None, *, kernel: int) -> int:
        shape = self._take(f"{name}.weight")
        fits = len(shape) == 4 and shape[2:] == (kernel, kernel) and shape[0] > 0
        if not fits or (inputs is not None and shape[1] != inputs):
            raise self._odd(f"{name}.weight has the shape {list(shape)}")
        return shape[0]

    def _norm(self, name: str, channels: int) -> None:
        if self._has(f"{name}.weight") and not self._has(f"{name}.running_mean"):
            raise MisfitError(
                f"{name} has no running mean: the network normalizes otherwise than by batches "
                f"(GroupNorm or alike), and is not built here; {ONNX_HINT}"
            )
        for part in NORM:
            if self._take(f"{name}.{part}") != (channels,):
                raise self._odd(f"{name}.{part} does not fit the convolution before it")

    def _has(self, name: str) -> bool:
        return name in self._shapes

    def _take(self, name: str) -> Shape:
        if name not in self._shapes:
            raise self._odd(f"{name} is missing")
        self._left.discard(name)
        return self._shapes[name]

    def refuse_rest(self) -> None:
        """What was not understood may change the answer, so that it is named and not dropped."""
        rest = sorted(self._left)
        if rest:
            shown = ", ".join(_short(rest))
            raise MisfitError(
                f"beside the ResNet the weights have {shown}, which is not built here: remove it "
                f"before saving if it does not change the answer, else {ONNX_HINT}"
            )

    def _odd(self, what: str) -> MisfitError:
        return MisfitError(f"the weights are not those of a ResNet: {what}; {ONNX_HINT}")


def _short(names: list[str], limit: int = 3) -> Iterator[str]:
    yield from names[:limit]
    if len(names) > limit:
        yield f"and {len(names) - limit} more"
