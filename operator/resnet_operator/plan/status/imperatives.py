"""How a message begins whose first words say what to do."""

VERBS = (
    "add check choose correct create declare delete export free give install lower make name opt "
    "put raise remove rename replace set use write"
)
IMPERATIVES = frozenset(VERBS.split())
