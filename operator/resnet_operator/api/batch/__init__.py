"""The custom resource ResNetBatch: pictures that a service's artifact classifies once."""

BATCH_KIND = "ResNetBatch"
BATCH_PLURAL = "resnetbatches"
