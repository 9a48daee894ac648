"""What runs inside a serving pod: launch.py (PID 1) and the Triton models.

The operator puts the files, one by one, into a ConfigMap that is mounted into stock Triton images;
nothing is installed there. So: standard library and numpy, and the syntax of Python 3.8.
"""
