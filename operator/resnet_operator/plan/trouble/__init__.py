"""Why a pod does not get on."""
