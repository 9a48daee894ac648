"""The second kind: a ResNetBatch becomes one Job, and its status says how far that is."""

# How the message of a batch that failed ends.
AGAIN = "delete the ResNetBatch and create it again; it goes on with the parts that are missing"
