"""Asks Triton over HTTP or gRPC, one request for each batch that the model takes.

`Client` blocks, `AsyncClient` does the same with asyncio; both know the model's contract after the
first question. What goes wrong is a ClientError whose text says what to do.
"""

from __future__ import annotations

import importlib
import ssl
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from resnet_client.contract import ClientError, Contract, read_contract
from resnet_client.failures import explained
from resnet_client.pictures import Picture, Preprocessing, preset_for, to_tensor
from resnet_client.tls import Tls, context_of, credentials_of

T = TypeVar("T")
# What is asked, step by step: yields a method of tritonclient's and its arguments, is sent the
# answer, and returns what was wanted. `Client` and `AsyncClient` only differ in how they ask.
Talk = Generator[tuple[str, dict[str, Any]], Any, T]
PROTOCOLS = ("http", "grpc")
ANSWER_SECONDS = 60.0


@dataclass(frozen=True)
class Label:
    """One class of an answer; `name` is `class 7` where the service has no labels."""

    name: str
    score: float
    index: int


class _Asking:
    """What both clients share: how to connect, what to send, how to read the answer."""

    def __init__(
        self,
        url: str,
        model: str,
        *,
        protocol: str = "http",
        tls: Tls | None = None,
        preset: str | Preprocessing | None = None,
        output: str | None = None,
    ) -> None:
        if protocol not in PROTOCOLS:
            raise ClientError(f"there is no protocol {protocol}; there are {', '.join(PROTOCOLS)}")
        scheme, _, rest = url.rpartition("://")
        self.url = rest.rstrip("/")
        self.model = model
        self._tls = tls if tls is not None or scheme not in ("https", "grpcs") else Tls()
        self._protocol, self._preset, self._output = protocol, preset, output
        self._contract: Contract | None = None

    def _library(self, suffix: str = "") -> Any:
        try:
            return importlib.import_module(f"tritonclient.{self._protocol}{suffix}")
        except ImportError as error:
            raise ClientError(
                f"{error}; try: pip install 'tritonclient[{self._protocol}]' pillow"
            ) from error

    def _connect(self, library: Any, *, is_async: bool) -> Any:
        tls = self._tls
        if self._protocol == "grpc":
            credentials, arguments = credentials_of(tls) if tls else (None, None)
            return library.InferenceServerClient(
                self.url, creds=credentials, channel_args=arguments
            )
        options: dict[str, Any] = {"ssl": tls is not None}
        if is_async:
            options |= {"ssl_context": context_of(tls, ssl)} if tls else {}
        else:
            options |= {"network_timeout": ANSWER_SECONDS, "connection_timeout": ANSWER_SECONDS}
            if tls:
                from gevent import ssl as gevent_ssl  # the client's sockets are gevent's

                context = context_of(tls, gevent_ssl)
                options["ssl_context_factory"] = lambda: context
        return library.InferenceServerClient(self.url, **options)

    def _batches(
        self, contract: Contract, pictures: Sequence[Picture], top: int
    ) -> Iterator[dict[str, Any]]:
        """Yield the arguments of each request's `infer`."""
        library = self._library()
        how = self._preset
        if not isinstance(how, Preprocessing):
            how = preset_for(contract, how)
        for start in range(0, len(pictures), contract.max_batch):
            tensor = to_tensor(pictures[start : start + contract.max_batch], contract, how)
            asked = library.InferInput(contract.input_name, list(tensor.shape), contract.data_type)
            asked.set_data_from_numpy(tensor)
            wanted = library.InferRequestedOutput(contract.output_name, class_count=top)
            yield {"model_name": contract.model, "inputs": [asked], "outputs": [wanted]}

    def _read(self, contract: Contract, answer: Any) -> list[list[Label]]:
        rows = answer.as_numpy(contract.output_name)
        if rows is None:
            raise ClientError(f"the answer has no output {contract.output_name}")
        return [[_label(entry) for entry in row.reshape(-1)] for row in rows]

    def _ask_contract(self) -> Talk[Contract]:
        if self._contract is None:
            as_json = {"as_json": True} if self._protocol == "grpc" else {}
            config = yield "get_model_config", {"model_name": self.model, **as_json}
            self._contract = read_contract(config.get("config", config), output=self._output)
        return self._contract

    def _ask_labels(self, pictures: Sequence[Picture], top: int) -> Talk[list[list[Label]]]:
        contract = yield from self._ask_contract()
        found: list[list[Label]] = []
        for request in self._batches(contract, pictures, top):
            answer = yield "infer", request
            found += self._read(contract, answer)
        return found

    def _explained(self, error: Exception) -> ClientError:
        known = self._contract is not None
        return explained(error, url=self.url, model=self.model, is_known=known)


class Client(_Asking):
    """Blocks until the answers are there. A context manager; not to be shared by threads."""

    def __enter__(self) -> Client:
        self._triton = self._connect(self._library(), is_async=False)
        return self

    def __exit__(self, *_: object) -> None:
        self._triton.close()

    @property
    def contract(self) -> Contract:
        """What the model takes and gives; asked for once."""
        return self._hold(self._ask_contract())

    def classify(self, pictures: Sequence[Picture], *, top: int = 3) -> list[list[Label]]:
        """Return the best `top` labels of each picture, best first."""
        return self._hold(self._ask_labels(pictures, top))

    def repeat(self, tensor: Any) -> Callable[[], None]:
        """Return what sends a ready tensor, built once, and drops the answer: to measure with."""
        contract, library = self.contract, self._library()
        asked = library.InferInput(contract.input_name, list(tensor.shape), contract.data_type)
        asked.set_data_from_numpy(tensor)
        wanted = library.InferRequestedOutput(contract.output_name)
        request = {"model_name": contract.model, "inputs": [asked], "outputs": [wanted]}

        def send() -> None:
            self._ask("infer", request)

        return send

    def ask(self, method: str, **arguments: Any) -> dict[str, Any]:
        """Return the answer of a method of tritonclient's that has one as JSON."""
        as_json = {"as_json": True} if self._protocol == "grpc" else {}
        found: dict[str, Any] = self._ask(method, {**arguments, **as_json})
        return found

    def _hold(self, talk: Talk[T]) -> T:
        answer = None
        while True:
            try:
                method, arguments = talk.send(answer)
            except StopIteration as end:
                return cast("T", end.value)
            answer = self._ask(method, arguments)

    def _ask(self, method: str, arguments: dict[str, Any]) -> Any:
        try:
            return getattr(self._triton, method)(**arguments)
        except Exception as error:  # tritonclient's, gevent's and the socket's own
            raise self._explained(error) from error


class AsyncClient(_Asking):
    """The same with asyncio."""

    async def __aenter__(self) -> AsyncClient:
        self._triton = self._connect(self._library(".aio"), is_async=True)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._triton.close()

    async def contract(self) -> Contract:
        """What the model takes and gives; asked for once."""
        return await self._hold(self._ask_contract())

    async def classify(self, pictures: Sequence[Picture], *, top: int = 3) -> list[list[Label]]:
        """Return the best `top` labels of each picture, best first."""
        return await self._hold(self._ask_labels(pictures, top))

    async def _hold(self, talk: Talk[T]) -> T:
        answer = None
        while True:
            try:
                method, arguments = talk.send(answer)
            except StopIteration as end:
                return cast("T", end.value)
            try:
                answer = await getattr(self._triton, method)(**arguments)
            except Exception as error:  # tritonclient's, aiohttp's and grpc's own
                raise self._explained(error) from error


def _label(entry: Any) -> Label:
    """Read "score:index:label"; the label is absent when the service has no classLabels."""
    text = entry.decode(errors="replace") if isinstance(entry, bytes) else str(entry)
    try:
        score, index, *name = text.split(":", 2)
        return Label(name[0] if name else f"class {index}", float(score), int(index))
    except ValueError as error:
        raise ClientError(f"the answer {text[:60]!r} is not a class; ask another output") from error
