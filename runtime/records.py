"""Fill dataclasses from JSON or TOML, and check every value against the type annotation of its field."""

import dataclasses
import functools
import json
import math
import types
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from .errors import InputError

Record = TypeVar("Record")
INTEGER_LIMIT = 2**63  # integers in files must be smaller than this in magnitude


def from_json(kind: type[Record], value: Any, where: str) -> Record:
    """An instance of the dataclass `kind`, filled from decoded JSON or TOML.

    where: the file's name, for error messages. Unknown keys are ignored, so that an older version of this package can
    read files in which a newer version has added keys. Numbers must be finite, integers below 2^63 in magnitude, and
    text must hold no lone surrogates. Raises InputError that names the key, the value found and the type expected.
    """
    try:
        record: Record = _decode(kind, value, where)
    except RecursionError as error:
        raise InputError(where, found="values nested too deep", expected=_name(kind)) from error
    return record


def read_json(text: bytes, where: str) -> Any:
    """Decode JSON. where: the file's name, for errors. Raises InputError if it is invalid or nested too deep."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise InputError(where, found="values nested too deep", expected="readable JSON") from error
    except ValueError as error:
        raise InputError(where, found=error, expected="readable JSON") from error


def _decode(kind: Any, value: Any, where: str) -> Any:
    origin, arguments = get_origin(kind), get_args(kind)
    if dataclasses.is_dataclass(kind):
        return _decode_dataclass(kind, _expect(value, dict, where), where)
    if origin in (Union, types.UnionType):
        return _decode_union(arguments, value, where)
    if origin is tuple:
        return _decode_tuple(arguments, _expect(value, list | tuple, where), where)
    if origin is dict:
        items = _expect(value, dict, where).items()
        return {_text(key, where): _decode(arguments[1], item, f"{where}: {key}") for key, item in items}
    if kind is Any:
        return _any_value(value, where)
    return _expect(_number(kind, value, where), kind, where)


def _decode_dataclass(kind: Any, value: dict[str, Any], where: str) -> Any:
    hints = _field_types(kind)
    found = {}
    for field in dataclasses.fields(kind):
        if field.name in value:
            found[field.name] = _decode(hints[field.name], value[field.name], f"{where}: {field.name}")
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise InputError(f"{where}: {field.name}", found="nothing", expected=_name(hints[field.name]))
    return kind(**found)


@functools.cache  # a manifest has many records of the same few classes
def _field_types(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)


def _decode_union(options: tuple[Any, ...], value: Any, where: str) -> Any:
    for option in options:
        try:
            return _decode(option, value, where)
        except InputError:
            continue
    raise InputError(where, found=repr(value), expected=" or ".join(_name(option) for option in options))


def _decode_tuple(arguments: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    kinds = [arguments[0]] * len(value) if arguments[-1] is Ellipsis else list(arguments)
    if len(kinds) != len(value):
        raise InputError(where, found=f"{len(value)} values", expected=len(kinds))
    return tuple(_decode(kind, item, f"{where}[{i}]") for i, (kind, item) in enumerate(zip(kinds, value, strict=True)))


def _any_value(value: Any, where: str) -> Any:
    """Check all numbers and texts in a value of any JSON type, and return the value."""
    if isinstance(value, dict):
        return {_text(key, where): _any_value(item, where) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_any_value(item, where) for item in value]
    return _text(value, where) if isinstance(value, str) else _number(type(value), value, where)


def _number(kind: Any, value: Any, where: str) -> Any:
    """Check a number or text, and return it. An integer is converted to float if `kind` is float."""
    if isinstance(value, str):
        return _text(value, where)
    if type(value) is int and not -INTEGER_LIMIT < value < INTEGER_LIMIT:
        raise InputError(where, found="a whole number of more than 63 bits", expected="a smaller number")
    if isinstance(value, float) and not math.isfinite(value):
        raise InputError(where, found=value, expected="a finite number")
    return float(value) if kind is float and type(value) is int else value


def _text(value: str, where: str) -> str:
    """Return the text. Raises InputError if it has lone surrogates, which cannot be encoded in UTF-8."""
    if not value.isascii() and any("\ud800" <= letter <= "\udfff" for letter in value):
        raise InputError(where, found=ascii(value), expected="text without lone surrogates")
    return value


def _expect(value: Any, kind: Any, where: str) -> Any:
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise InputError(where, found=repr(value), expected=_name(kind))
    return value


def _name(kind: Any) -> str:
    """Describe a type annotation for error messages by the JSON type that it stands for, such as "a list"."""
    names = {str: "text", int: "a whole number", float: "a number", bool: "true or false", dict: "an object"}
    if kind in (list | tuple, list, tuple) or get_origin(kind) is tuple:
        return "a list"
    return "nothing" if kind is type(None) else names.get(get_origin(kind) or kind, "an object")
