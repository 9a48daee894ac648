"""What distinguishes one ResNet from the next, and what it is called. Pure data."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

DEPTHS: dict[tuple[bool, tuple[int, ...]], int] = {
    (False, (1, 1, 1, 1)): 10, (False, (2, 2, 2, 2)): 18, (False, (3, 4, 6, 3)): 34,
    (True, (1, 1, 1, 1)): 14, (True, (2, 2, 2, 2)): 26, (True, (3, 4, 6, 3)): 50,
    (True, (3, 4, 23, 3)): 101, (True, (3, 8, 36, 3)): 152, (True, (3, 24, 36, 3)): 200,
}  # fmt: skip


class Stem(StrEnum):
    PLAIN = "7x7"
    DEEP = "three 3x3"
    SMALL = "one 3x3, without pooling"


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """A ResNet. `width` is that of one group in the first block's 3x3 convolution;
    `halves_at_once` tells that the first stage halves the picture too.
    """

    publisher: str
    bottleneck: bool
    blocks: tuple[int, ...]
    stem: Stem
    stem_widths: tuple[int, ...]
    groups: int
    width: int
    pooled_shortcut: bool
    channels: int
    classes: int
    stride_in_first: bool = False
    halves_at_once: bool = False
    epsilon: float = 1e-5

    @property
    def name(self) -> str:
        """As timm calls it; torchvision has the same names."""
        depth = DEPTHS.get((self.bottleneck, self.blocks))
        shown = str(depth) if depth else "-" + "-".join(map(str, self.blocks))
        letter = self._letter()
        small = "_cifar" if self.stem is Stem.SMALL else ""
        if self.groups > 1:
            return f"resnext{shown}{letter}_{self.groups}x{self.width}d{small}"
        if self.bottleneck and self.width > 64 and self.width % 64 == 0:
            return f"wide_resnet{shown}{letter}_{self.width // 64}{small}"
        return f"resnet{shown}{letter}{small}"

    def _letter(self) -> str:
        if self.stem is not Stem.DEEP:
            return "d" if self.pooled_shortcut else ""
        if self.stem_widths[0] != self.stem_widths[1]:
            return "t"
        if self.stem_widths[0] > 32:
            return "s"
        return "d" if self.pooled_shortcut else "c"

    @property
    def side(self) -> int:
        """The usual height and width of its pictures."""
        return 32 if self.stem is Stem.SMALL else 224
