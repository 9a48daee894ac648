"""ATC's error codes: whether another attempt can help, and what to do about each.

Read by `outcome`. The advice is for codes whose block in the output often has no "Solution:"; it
names the field of the ResNetService where one decides. A code that is not here is permanent: the
same command line and the same model give the same error.
"""

from __future__ import annotations

ENVIRONMENT = "The CANN image lacks a Python package; use another spec.conversion.image."
EXTRA = "Check spec.conversion.extraArgs."
PROFILES = "Write 2 to 100 different numbers into spec.conversion.batchSizes, or one."
SHAPES = "Check spec.conversion.inputShapes."
OURS = "That is the operator's own doing; please report it with the log."
# Inner errors are tried again, for some pass; the sentence is for those that stay.
INNER = "An internal error of ATC; if it stays, use a newer spec.conversion.image or another opset."
FILE = "The Job's files were not readable; another attempt can help."

RETRIED = frozenset(("E10041", "E13000", "E13001", "E13004", "E19999", "EZ9999"))
INNER_ERRORS = ("E19999", "EZ9999")  # printed beside the telling one, or alone
ADVICE = {
    "E10001": "Check the value in spec.conversion, and that the CANN image knows the chip.",
    "E10002": SHAPES,
    "E10003": PROFILES,
    "E10004": EXTRA,
    "E10005": EXTRA,
    "E10006": EXTRA,
    "E10007": OURS,
    "E10009": PROFILES,
    "E10010": "Check --log in spec.conversion.extraArgs.",
    "E10011": SHAPES,
    "E10012": SHAPES,
    "E10013": EXTRA,
    "E10014": EXTRA,
    "E10016": "Check the names in spec.conversion.inputShapes.",
    "E10018": "The first dimension of each input must be the batch; export the model so.",
    "E10019": "Only the batch may be dynamic; write the other sizes into inputShapes.",
    "E10020": "Only the batch may be dynamic; write the other sizes into inputShapes.",
    "E10021": OURS,
    "E10022": OURS,
    "E10031": "Only the batch may be dynamic; write the other sizes into inputShapes.",
    "E10032": "Check the JSON in spec.conversion.configFiles.",
    "E10034": "Take the picture out of --input_fp16_nodes in spec.conversion.extraArgs.",
    "E10035": PROFILES,
    "E10036": PROFILES,
    "E10038": PROFILES,
    "E10039": PROFILES,
    "E10041": FILE,
    "E10047": EXTRA,
    "E10049": "Write as many dimensions into spec.conversion.inputShapes as the model has.",
    "E10050": "This CANN has no such option; use a newer spec.conversion.image or leave it out.",
    "E10052": "Check spec.conversion.preprocessing.",
    "E10054": OURS,
    "E10055": "This CANN has no such option; use a newer spec.conversion.image or leave it out.",
    "E10056": "Remove the precision option from spec.conversion.extraArgs.",
    "E10057": EXTRA,
    "E13000": FILE,
    "E13001": FILE,
    "E13004": "The node's disk may be full; another attempt can help.",
    "E13026": OURS,
    "E16001": "Export the model with the picture as its input.",
    "E16002": "Export the model with opset 13 and standard operators.",
    "E16004": "Export the model again.",
    "E16005": "Export the model again with the default operator domain only.",
    "E19005": "Check spec.conversion.preprocessing.rawAIPP.",
    "E19010": "Export the model again with opset 13.",
    "E19999": INNER,
    "E40000": ENVIRONMENT,
    "E40020": ENVIRONMENT,
    "EC0010": ENVIRONMENT,
    "EZ3003": "The image may hold the operators of another chip; check spec.conversion.image.",
    "EZ9999": INNER,
}


def can_retry(code: str) -> bool:
    """Whether another attempt of the very same conversion can end otherwise."""
    return code in RETRIED
