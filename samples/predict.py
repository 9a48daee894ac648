#!/usr/bin/env python3
"""Ask a ResNetService what is on a picture, whatever form the served model has.

    python samples/predict.py --url localhost:8000 --model digits samples/digits/pictures/seven.png

Needs numpy, Pillow and tritonclient[http] (or [grpc]). What a client of your own needs is in `run`;
the package of the operator installs `resnet_client` too.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

# Behind all else: what is installed comes first.
sys.path.append(str(Path(__file__).resolve().parents[1] / "operator"))

from resnet_client.client import PROTOCOLS, Client
from resnet_client.contract import ClientError
from resnet_client.pictures import PRESETS
from resnet_client.tls import Tls
from resnet_contract.foreign.harmless import harmless


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Ask a ResNetService what is on a picture.")
    parser.add_argument("pictures", nargs="+", type=Path, metavar="PICTURE")
    parser.add_argument("--url", default="localhost:8000", help="host:port (%(default)s)")
    parser.add_argument("--protocol", choices=PROTOCOLS, default="http", help="(%(default)s)")
    parser.add_argument("--model", default="digits", help="name of the model (%(default)s)")
    parser.add_argument("--top", type=int, default=3, help="number of labels (%(default)s)")
    parser.add_argument("--output", help="default: the one with labels, else the first")
    parser.add_argument(
        "--preset",
        choices=sorted(PRESETS),
        help="mean, std and framing; default: imagenet for pictures of 224 and more, else digits",
    )
    parser.add_argument("--tls", action="store_true", help="trust the system's authorities")
    parser.add_argument("--ca", metavar="FILE", help="trust these instead; implies --tls")
    parser.add_argument("--cert", metavar="FILE", help="the client's own certificate")
    parser.add_argument("--key", metavar="FILE", help="and its key; both imply --tls")
    return parser.parse_args(argv)


def run(arguments: argparse.Namespace) -> None:
    """Print the best labels of each picture."""
    files = Tls(ca=arguments.ca, certificate=arguments.cert, key=arguments.key)
    tls = files if arguments.tls or files != Tls() else None
    with Client(
        arguments.url,
        arguments.model,
        protocol=arguments.protocol,
        tls=tls,
        preset=arguments.preset,
        output=arguments.output,
    ) as client:
        found = client.classify(arguments.pictures, top=arguments.top)
    for path, labels in zip(arguments.pictures, found, strict=True):
        print(harmless(str(path)))
        for place, label in enumerate(labels, start=1):
            print(f"  {place}  {harmless(label.name):<24} {label.score:9.3f}")


def main(argv: Sequence[str] | None = None) -> int:
    try:
        run(parse(argv))
    except ClientError as error:
        print(f"error: {harmless(str(error))}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
