"""What `helm test` runs: the CRD is served with its subresources, and the operator is ready.

Standard library only. The first argument is the address of the operator's readiness; `--wait` is
how long to ask, in seconds, because a release installed without `--wait` may still be starting.
"""

import argparse
import json
import os
import ssl
import sys
import time
import urllib.error
import urllib.request

ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
KINDS = "/apis/serving.resnet-operator.io/v1alpha1"
SERVED = {"resnetservices", "resnetservices/status", "resnetservices/scale"}


def get(request, **options):
    """Return the body of an answer; ValueError says why there is none. Proxies are not asked."""
    tls = [urllib.request.HTTPSHandler(**options)] if options else []
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), *tls)
    address = request.full_url
    try:
        with opener.open(request, timeout=10) as answer:
            return answer.read()
    except urllib.error.HTTPError as error:
        raise ValueError(f"{address} answered {error.code}: {error.read(300)!r}") from None
    except OSError as error:
        raise ValueError(f"{address} does not answer: {error}") from None


def check_kinds(server, account):
    """The API server serves the kind that this release installs."""
    with open(f"{account}/token", encoding="utf-8") as file:
        login = {"Authorization": f"Bearer {file.read().strip()}"}
    context = ssl.create_default_context(cafile=f"{account}/ca.crt")
    body = get(urllib.request.Request(server + KINDS, headers=login), context=context)
    missing = SERVED - {resource["name"] for resource in json.loads(body)["resources"]}
    if missing:
        raise ValueError(
            f"the API server does not serve {', '.join(sorted(missing))}: apply "
            "crds/resnetservices.yaml of this version, or set crds.install to true"
        )
    return f"the CRD is served: {server}{KINDS}"


def check_ready(address):
    """The operator has its informers in step and answers through its Service."""
    get(urllib.request.Request(address))
    return f"the operator is ready: {address}"


def within(seconds, check):
    end = time.monotonic() + seconds
    while True:
        try:
            return check()
        except ValueError:
            if time.monotonic() >= end:
                raise
        time.sleep(1)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("ready")
    parser.add_argument("--wait", type=float, default=60)
    parser.add_argument("--account", default=ACCOUNT)
    asked = parser.parse_args()
    host = os.environ["KUBERNETES_SERVICE_HOST"]
    host = f"[{host}]" if ":" in host else host
    server = f"https://{host}:{os.environ['KUBERNETES_SERVICE_PORT']}"
    try:
        print(within(asked.wait, lambda: check_kinds(server, asked.account)))
        print(within(asked.wait, lambda: check_ready(asked.ready)))
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
