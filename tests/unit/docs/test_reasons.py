"""The words of a Job's containers and those of the conditions are one vocabulary."""

from __future__ import annotations

import re

import pytest
from tests.support.apiserver import ROOT

from resnet_jobs.base.errors import EXIT_CODES, EXIT_UNEXPECTED
from resnet_jobs.base.errors import Reason as JobReason
from resnet_operator.api.reasons import Reason
from resnet_operator.plan.trouble.pod import to_reason

DRIVER = ROOT / "operator" / "resnet_jobs" / "driver"
# DriverError("StoreUnavailable", 81, …), on one line or on several.
RAISED = re.compile(r'DriverError\(\s*"(\w+)",\s*(\d+)')


def driver_errors() -> list[tuple[str, int]]:
    """What the scripts in foreign images raise: they cannot import the table."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in sorted(DRIVER.glob("*.py")))
    return sorted({(word, int(code)) for word, code in RAISED.findall(text)})


@pytest.mark.parametrize("reason", JobReason)
def test_every_reason_of_a_job_is_one_of_a_condition(reason: JobReason) -> None:
    found = to_reason(reason.value, Reason.PENDING)
    assert found.value == reason.value, "else the user reads another cause than the Job's log"
    assert found.meaning.endswith(".")
    assert found.remedy.endswith(".")


@pytest.mark.parametrize(("word", "code"), driver_errors())
def test_every_reason_of_a_driver_is_one_of_a_condition(word: str, code: int) -> None:
    assert to_reason(word, Reason.PENDING).value == word
    known = {reason.value: status for reason, status in EXIT_CODES.items()}
    more = {  # what ends in foreign images alone, and what can be worth another attempt there
        ("ChipMismatch", 73),
        ("ConversionTimeout", 70),
        ("ConversionFailed", 82),
        ("ConversionFailed", EXIT_UNEXPECTED),
        ("QuantizationFailed", 88),
    }
    assert known.get(word) == code or (word, code) in more, "the exit status has to mean the same"


def test_the_drivers_are_read_at_all() -> None:
    assert ("ResultLost", 87) in driver_errors()
    assert len(driver_errors()) >= 5, "the pattern still fits how the drivers raise"
