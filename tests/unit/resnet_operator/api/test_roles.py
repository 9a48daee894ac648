"""What a field of conversion is for is said at the field; the lists come from there."""

from __future__ import annotations

from resnet_operator.api.conversion import OF_ATC, Conversion, Role, fields_with


def roles_of(name: str) -> set[Role]:
    return {role for role in Role if role in Conversion.model_fields[name].metadata}


def test_each_field_has_a_role() -> None:
    """One without would change no artifact, and what failed would not be tried again with it."""
    assert {name for name in Conversion.model_fields if not roles_of(name)} == {"retries"}


def test_what_decides_is_no_mere_means() -> None:
    assert not set(fields_with(Role.DECIDES, Role.ORDERED)) & set(fields_with(Role.MEANS))


def test_rules_name_fields_as_objects_do() -> None:
    assert "opSelectImplMode" in OF_ATC
    assert "batchSizes" not in OF_ATC, "Triton has them too"
