"""Why a candidate loses accuracy: the labels, the preprocessing, or single layers of the artifact.

Called by `evaluate` after the measurement. Each cause has a module; `diagnose` asks them in turn.
"""
