"""What runs inside foreign images: ATC's, AMCT's and PyTorch's.

The container `fetch` copies this whole folder to /scratch/driver and those images' own Python runs
its scripts. So: the standard library only, Python 3.7 syntax, relative imports only, nothing from
the rest of the package, a read-only root and no shell anywhere.
"""
