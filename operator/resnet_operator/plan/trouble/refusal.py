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


# What stands before the server's own words.
MARKS = ("denied request: ", "denied the request: ", "is forbidden: ", "is invalid: ")


@dataclass(frozen=True)
class Sentence:
    """`says` may name groups of `words`; a group that is not there is an empty text."""

    words: re.Pattern[str]
    reason: Reason
    says: str


SENTENCES = (
    Sentence(
        re.compile(r"failed quota: (?P<name>[^:]+): must specify (?P<what>[^;]+?)\s*$"),
        Reason.QUOTA_EXCEEDED,
        'quota "{name}" wants {what}; set containerResources, serving.resources and '
        "conversion.resources, or the chart's containerResources",
    ),
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
        re.compile(r"(?P<what>\S+) max limit to request ratio per \w+ is (?P<bar>[^,\s]+)"),
        Reason.QUOTA_EXCEEDED,
        "a LimitRange refuses the pod: the limit of {what} may be {bar} times its request; raise "
        "the request or lower the limit",
    ),
    Sentence(
        re.compile(r"security context constraint"),
        Reason.POD_SECURITY_FORBIDDEN,
        "no SecurityContextConstraint admits the pod; leave podSecurity.runAsUser, runAsGroup and "
        "fsGroup out (null in the chart), or grant one",
    ),
    Sentence(
        re.compile(r"RuntimeClass \"?(?P<name>[^\"\s]+?)\"? not found"),
        Reason.REJECTED,
        'RuntimeClass "{name}" does not exist; create it or correct runtimeClassName in the chart',
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
            return Problem(sentence.reason, message, detail=words)
    said = own_words(words)
    message = "the API server refuses the pod"
    return Problem(Reason.REJECTED, f"{message}: {said}" if said else message, detail=words)


def own_words(words: str) -> str:
    """Return what a refusal comes to, without the names of objects and of who passed it on."""
    for mark in MARKS:
        if mark in words:
            words = words.split(mark, 1)[1]
            break
    return " ".join(words.split())
