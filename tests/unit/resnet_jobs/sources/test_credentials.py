"""The mounted Secret: what is read of it, and that nothing of it is ever printed."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from resnet_jobs.base.errors import JobError, Reason
from resnet_jobs.sources.credentials import Credentials, Login


def mount(folder: Path, values: dict[str, bytes]) -> Credentials:
    """As the kubelet does: the keys are links into a folder that is exchanged as a whole."""
    (folder / "..2026").mkdir()
    (folder / "..data").symlink_to("..2026")
    for key, value in values.items():
        (folder / "..2026" / key).write_bytes(value)
        (folder / key).symlink_to(f"..data/{key}")
    return Credentials.read(folder)


def test_known_keys_are_read(tmp_path: Path) -> None:
    found = mount(
        tmp_path,
        {"token": b"  t0ken\n", "username": b"", "ssh-privatekey": b"a\nb", "HF_TOKEN": b"x"},
    )
    assert dict(found.values) == {"token": "t0ken", "HF_TOKEN": "x"}, "empty ones count as absent"
    assert Credentials.read(tmp_path / "nothing").values == {}


BAD: list[tuple[str, dict[str, bytes], str]] = [
    ("two lines would be two headers", {"token": b"a\r\nHost: b"}, 'key "token" of the'),
    ("no text", {"password": b"\xff\xfe"}, "is not a text"),
]


@pytest.mark.parametrize(("why", "values", "want"), BAD, ids=[bad[0] for bad in BAD])
def test_keys_that_cannot_be_used(
    why: str, values: dict[str, bytes], want: str, tmp_path: Path
) -> None:
    with pytest.raises(JobError) as caught:
        mount(tmp_path, values)
    assert caught.value.reason == Reason.ACCESS_DENIED, why
    assert want in caught.value.message
    assert "Host" not in caught.value.message


def test_a_key_that_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "token").mkdir()
    with pytest.raises(JobError):
        Credentials.read(tmp_path)


def test_nothing_is_printed(tmp_path: Path) -> None:
    found = mount(tmp_path, {"username": b"me", "password": b"s3cret", "token": b"t0ken"})
    text = f"{found!r} {found} {found.login()!r}"
    assert "s3cret" not in text
    assert "t0ken" not in text


HUB = {"username": "me", "password": "hub"}
ENTRIES: list[tuple[str, str, str, str | None]] = [
    # reason, address in the configuration, registry asked, password found
    ("the same name", "r.test:5000", "r.test:5000", "hub"),
    ("as docker login writes it", "https://r.test:5000/v2/", "r.test:5000", "hub"),
    ("case", "R.test", "r.TEST", "hub"),
    ("Docker Hub's old name", "https://index.docker.io/v1/", "docker.io", "hub"),
    ("another port is another registry", "r.test", "r.test:5000", None),
    ("the end of a name is no registry", "test", "r.test", None),
]


@pytest.mark.parametrize(
    ("why", "address", "registry", "password"), ENTRIES, ids=[entry[0] for entry in ENTRIES]
)
def test_the_entry_of_a_registry(
    why: str, address: str, registry: str, password: str | None, tmp_path: Path
) -> None:
    configuration = json.dumps({"auths": {address: HUB}}).encode()
    found = mount(tmp_path, {".dockerconfigjson": configuration}).registry_login(registry)
    assert (found.password if found else None) == password, why


def test_a_password_with_a_colon(tmp_path: Path) -> None:
    entry = {"auth": base64.b64encode(b"me:a:b").decode()}
    configuration = json.dumps({"auths": {"r.test": entry}}).encode()
    found = mount(tmp_path, {".dockerconfigjson": configuration}).registry_login("r.test")
    assert found == Login("me", "a:b")


UNREADABLE: list[tuple[str, dict[str, str]]] = [
    ("no base64", {"auth": "§"}),
    ("no text", {"auth": "_w=="}),
    ("no password", {"auth": base64.b64encode(b"me").decode()}),
    ("docker keeps the login in its own store", {}),
]


@pytest.mark.parametrize(("why", "entry"), UNREADABLE, ids=[case[0] for case in UNREADABLE])
def test_an_entry_that_cannot_be_used(why: str, entry: dict[str, str], tmp_path: Path) -> None:
    configuration = json.dumps({"auths": {"r.test": entry}}).encode()
    credentials = mount(tmp_path, {".dockerconfigjson": configuration})
    with pytest.raises(JobError) as caught:
        credentials.registry_login("r.test")
    assert caught.value.reason == Reason.ACCESS_DENIED, why
    assert "is not a docker configuration with a login for r.test" in caught.value.message
