"""A value that is checked as a model and kept as it was written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, GetCoreSchemaHandler, ValidatorFunctionWrapHandler
from pydantic_core import CoreSchema, core_schema


@dataclass(frozen=True)
class PassedOn:
    """Annotates a dict that goes into a child word for word; `model` says what it may hold.

    A dump of the model would not do: revisions are named by what the user wrote.
    """

    model: type[BaseModel]

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_wrap_validator_function(
            _as_written,
            handler.generate_schema(self.model),
            serialization=core_schema.plain_serializer_function_ser_schema(_itself),
        )


def _as_written(value: Any, check: ValidatorFunctionWrapHandler) -> Any:
    check(value)
    return value


def _itself(value: Any) -> Any:
    return value
