"""A SIMULATOR of Huawei's CANN: enough of `atc` and pyACL to test everything around them.

No Huawei software is in here, and no NPU is used. What is simulated, with sources, and what is
not: devkit/cann/README.md. `atc` (bin/atc.bin) and the package `acl` are the two users.
"""
