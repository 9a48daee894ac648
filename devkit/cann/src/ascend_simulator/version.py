"""The simulated CANN's version, which says that it is simulated wherever it is shown."""

from __future__ import annotations

PRODUCT_VERSION = "8.2.RC1 (simulator)"
"""The toolkit's version files say the same; a test compares them."""

ATC_VERSION = "8.2.RC1 (simulator)"
"""What stands in an .om: real ATC writes its component version there, 7.7.0.6.236 for example."""
