"""Fill records from JSON or TOML, and check every value against the type annotation of its field.

A record is a dataclass or a named tuple. Defining a named tuple takes a fifth of the time of a dataclass, so modules
that are imported at each start use named tuples.
"""

import dataclasses
import functools
import json
import math
import types
from collections.abc import Callable
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from .errors import InputError

Record = TypeVar("Record")
Decoder = Callable[[Any, str], Any]  # arguments: a value, and its path within the file for error messages
INTEGER_LIMIT = 2**63  # the magnitude of integers in files must be below this limit


def from_json(kind: type[Record], value: Any, where: str) -> Record:
    """An instance of the record `kind`, filled from decoded JSON or TOML.

    where: the file's name, for error messages. Unknown keys are ignored, so that an older version of this package can
    read files in which a newer version has added keys. Numbers must be finite, integers below 2^63 in magnitude, and
    text must hold no lone surrogates. Raises InputError that names the key, the value found and the type expected.
    """
    try:
        decode: Decoder = _decoder(kind)  # type: ignore[arg-type]
        record: Record = decode(value, where)
    except RecursionError as error:
        raise InputError(where, found="values nested too deep", expected=_name(kind)) from error
    return record


def to_plain(value: Any) -> Any:
    """The reverse of `from_json`: records become dicts, also within dicts, lists and tuples."""
    if dataclasses.is_dataclass(value) or hasattr(value, "_fields"):
        return {name: to_plain(getattr(value, name)) for name in names_of(type(value))}
    if isinstance(value, dict):
        return {key: to_plain(item) for key, item in value.items()}
    return [to_plain(item) for item in value] if isinstance(value, list | tuple) else value


def read_json(text: bytes, where: str) -> Any:
    """Decode JSON. where: the file's name, for errors. Raises InputError if it is invalid or nested too deep."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise InputError(where, found="values nested too deep", expected="readable JSON") from error
    except ValueError as error:
        raise InputError(where, found=error, expected="readable JSON") from error


@functools.cache  # cached, because files have many values of the same few types
def _decoder(kind: Any) -> Decoder:
    """The function that checks and converts values of one type. kind: the type, as an annotation."""
    origin, arguments = get_origin(kind), get_args(kind)
    if dataclasses.is_dataclass(kind) or hasattr(kind, "_fields"):
        return functools.partial(_decode_record, kind)
    if origin in (Union, types.UnionType):
        return functools.partial(_decode_union, arguments)
    if origin is tuple:
        return functools.partial(_decode_tuple, arguments)
    if origin is dict:
        return functools.partial(_decode_dict, _decoder(arguments[1]))
    return _any_value if kind is Any else functools.partial(_decode_plain, kind)


def _decode_record(kind: Any, value: Any, where: str) -> Any:
    value = _expect(value, dict, where)
    found = {}
    for name, decode, expected in _fields(kind):
        if name in value:
            found[name] = decode(value[name], f"{where}: {name}")
        elif expected is not None:
            raise InputError(f"{where}: {name}", found="nothing", expected=expected)
    return kind(**found)


@functools.cache
def _fields(kind: Any) -> list[tuple[str, Decoder, str | None]]:
    """For each field of a record: its name, its decoder, and the expected type as text, or None if it has a default."""
    hints, defaults = get_type_hints(kind), defaults_of(kind)
    return [(name, _decoder(hints[name]), None if name in defaults else _name(hints[name])) for name in names_of(kind)]


def names_of(kind: Any) -> tuple[str, ...]:
    """The names of a record's fields, in order."""
    names: tuple[str, ...] | None = getattr(kind, "_fields", None)
    return names if names is not None else tuple(field.name for field in dataclasses.fields(kind))


def defaults_of(kind: Any) -> dict[str, Any]:
    """The defaults of those fields of a record that have one, by name. All fields of a named tuple are required."""
    found: dict[str, Any] = {}
    if not dataclasses.is_dataclass(kind):
        return found
    for field in dataclasses.fields(kind):
        if field.default is not dataclasses.MISSING:
            found[field.name] = field.default
        elif field.default_factory is not dataclasses.MISSING:
            found[field.name] = field.default_factory()
    return found


def _decode_union(options: tuple[Any, ...], value: Any, where: str) -> Any:
    exact = [option for option in options if option is type(value)]  # the value's own type is tried first, to be fast
    for option in (*exact, *options):
        try:
            return _decoder(option)(value, where)
        except InputError:
            continue
    raise InputError(where, found=repr(value), expected=" or ".join(_name(option) for option in options))


def _decode_tuple(arguments: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    value = _expect(value, list | tuple, where)
    kinds = [arguments[0]] * len(value) if arguments[-1] is Ellipsis else arguments
    if len(kinds) != len(value):
        raise InputError(where, found=f"{len(value)} values", expected=len(kinds))
    items = enumerate(zip(kinds, value, strict=True))
    return tuple([_decoder(kind)(item, f"{where}[{i}]") for i, (kind, item) in items])


def _decode_dict(decode: Decoder, value: Any, where: str) -> dict[str, Any]:
    items = _expect(value, dict, where).items()
    return {_text(key, where): decode(item, f"{where}: {key}") for key, item in items}


def _decode_plain(kind: Any, value: Any, where: str) -> Any:
    return _expect(_number(kind, value, where), kind, where)


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
