"""What is packed comes out as it was, is the same bytes each time, and is small where alike."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.builders import deterministic

from resnet_operator.reading.packed import LEAST, LONGEST, MOST, Packer
from resnet_operator.seen.meta import Live


def text(number: int, size: int = 4_000) -> bytes:
    """Return a text that zlib alone cannot make small, and that differs in a few places."""
    body = random.Random(1).randbytes(size).hex()[:size]
    return f"name-{number} {body} uid-{number}".encode()


@deterministic
@given(
    texts=st.lists(st.tuples(st.binary(max_size=3 * LEAST), st.sampled_from("abc")), max_size=20)
)
def test_all_that_is_packed_comes_out_as_it_was(texts: list[tuple[bytes, str]]) -> None:
    packer = Packer(most=2)
    packed = [packer.pack(one, like=like) for one, like in texts]
    assert [packer.unpack(one) for one in packed] == [one for one, _ in texts]
    assert [packer.pack(one, like=like) for one, like in texts] == packed, "and the same again"


SIZES = (0, 1, LEAST - 1, LEAST, LONGEST - 1, LONGEST, LONGEST + 1, 3 * LONGEST)


@pytest.mark.parametrize("size", SIZES)
def test_every_size(size: int) -> None:
    packer, texts = Packer(), [text(number, size) for number in range(3)]
    assert [packer.unpack(packer.pack(one, like="a")) for one in texts] == texts


def test_what_is_alike_is_kept_small() -> None:
    packer = Packer()
    first, second = (len(packer.pack(text(number), like="a")) for number in range(2))
    assert first < 200, "it is its own example"
    assert second < 200
    assert len(packer.pack(text(3), like="b")) < 200
    assert len(packer.examples) == 3


def test_a_short_text_is_no_example() -> None:
    """Whoever makes an odd object first would make all others large."""
    packer = Packer()
    packer.pack(b"odd", like="a")
    assert len(packer.pack(text(1), like="a")) < 200


def test_there_are_no_more_examples_than_so_many() -> None:
    packer = Packer()
    for number in range(3 * MOST):
        packer.pack(text(number), like=f"label-{number}")
    assert len(packer.examples) == MOST + 1
    late = packer.pack(text(1), like="late")
    assert packer.unpack(late) == text(1)
    assert packer.pack(text(1), like="late") == late


def test_two_threads_agree_on_the_example() -> None:
    packer = Packer()
    with ThreadPoolExecutor(8) as pool:
        packed = list(pool.map(lambda number: packer.pack(text(number), like="a"), range(64)))
    assert [packer.unpack(one) for one in packed] == [text(number) for number in range(64)]
    assert len(packer.examples) == 2


@pytest.mark.parametrize("spec", [None, {}, {"a": 1}, [], "text", 5], ids=str)
def test_an_object_of_any_shape_can_be_kept(spec: object) -> None:
    body = {"metadata": {"name": "a", "labels": {"x": "y"}}, "spec": spec}
    assert Live.from_body(body, "spec").unpack() == {
        "metadata": {"labels": {"x": "y"}},
        "spec": spec,
    }
