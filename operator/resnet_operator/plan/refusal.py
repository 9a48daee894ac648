"""Why the API server takes no pod, in one line: a table of its sentences.

Called where a controller's refusal is seen: a Deployment's condition or a Job's event.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from resnet_operator.api.reasons import Reason
from resnet_operator.plan.actions import Problem

# The name has another end in each attempt; it is no part of the cause.
POD_NAME = re.compile(r'pods "[^"]*"')


@dataclass(frozen=True)
class Sentence:
    """`says` may name groups of `words`; a group that is not there is an empty text."""

    words: re.Pattern[str]
    reason: Reason
    says: str


SENTENCES = (
    Sentence(
        re.compile(r"exceeded quota: (?P<name>[^,]+), requested: (?P<what>[^:]+?), used"),
        Reason.QUOTA_EXCEEDED,
        'quota "{name}" refuses {what}; raise the quota or lower the resources',
    ),
    Sentence(
        re.compile(r"exceeded quota"),
        Reason.QUOTA_EXCEEDED,
        "a quota refuses the pod; raise the quota or lower the resources",
    ),
    Sentence(
        re.compile(
            r"(?P<edge>maximum|minimum) (?P<what>\S+) usage per (Container|Pod) is (?P<bar>[^,\s]+)"
        ),
        Reason.QUOTA_EXCEEDED,
        "a LimitRange refuses the pod: {edge} {what} is {bar}; change resources or the LimitRange",
    ),
    Sentence(
        re.compile(r'violates PodSecurity "(?P<level>[^"]+)"'),
        Reason.POD_SECURITY_FORBIDDEN,
        "Pod Security {level} of the namespace refuses the pod",
    ),
    Sentence(
        re.compile(r"violates PodSecurity"),
        Reason.POD_SECURITY_FORBIDDEN,
        "Pod Security of the namespace refuses the pod",
    ),
    Sentence(
        re.compile(r'admission webhook "(?P<name>[^"]+)" denied the request'),
        Reason.ADMISSION_DENIED,
        'webhook "{name}" refuses the pod; see the condition for its words',
    ),
    Sentence(
        re.compile(r'failed calling webhook "(?P<name>[^"]+)"'),
        Reason.ADMISSION_DENIED,
        'webhook "{name}" does not answer, so no pod is taken; repair or remove it',
    ),
    Sentence(
        re.compile(r"ValidatingAdmissionPolicy '(?P<name>[^']+)'"),
        Reason.ADMISSION_DENIED,
        'ValidatingAdmissionPolicy "{name}" refuses the pod; see the condition for its words',
    ),
    Sentence(
        re.compile(r'serviceaccount "(?P<name>[^"]+)" not found'),
        Reason.REJECTED,
        'ServiceAccount "{name}" does not exist; create it or correct the spec',
    ),
    Sentence(
        re.compile(r"no PriorityClass with name (?P<name>\S+) was found"),
        Reason.REJECTED,
        'PriorityClass "{name}" does not exist; create it or correct the spec',
    ),
)


def creation_failure(words: str) -> Problem:
    """Say why a controller may not create pods; `words` are the API server's."""
    words = POD_NAME.sub("pods", words)
    for sentence in SENTENCES:
        if found := sentence.words.search(words):
            parts = {key: value or "" for key, value in found.groupdict().items()}
            message = sentence.says.format_map(parts)
            return Problem(reason=sentence.reason, message=message, detail=words)
    return Problem(reason=Reason.REJECTED, message="the API server refuses the pod", detail=words)
