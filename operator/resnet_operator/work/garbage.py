"""How often Python looks for what only holds itself: seldom, for next to nothing here does."""

from __future__ import annotations

import gc

# New things more than ended ones: each object that is read is some hundreds, and ends by itself.
THRESHOLD = 5_000


def is_loaded() -> None:
    """Leave what is loaded by now out of it: that stays for ever."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(THRESHOLD)
