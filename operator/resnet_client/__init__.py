"""A client of ResNetServices: pictures in, labels out, whatever form the served model has.

    from resnet_client import Client

    with Client("localhost:8000", "digits") as client:
        print(client.classify(["seven.png"])[0])

Needs numpy, Pillow and tritonclient, with [http] or [grpc] as it is asked.
"""

from resnet_client.client import AsyncClient, Client
from resnet_client.contract import ClientError, Contract, read_contract
from resnet_client.pictures import PRESETS, Preprocessing, load_picture, preprocess
from resnet_client.tls import Tls

__all__ = [
    "PRESETS",
    "AsyncClient",
    "Client",
    "ClientError",
    "Contract",
    "Preprocessing",
    "Tls",
    "load_picture",
    "preprocess",
    "read_contract",
]
