"""`python3 -m amct_onnx`; the program `amct_onnx` of the image is the same."""

import sys

from amct_onnx.cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
