"""JSON and frozen dataclasses: the annotation of a field is the rule that its value must pass."""

import dataclasses
import types
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from .errors import InputError

Record = TypeVar("Record")


def from_json(kind: type[Record], value: Any, where: str) -> Record:
    """The dataclass `kind` filled from decoded JSON or TOML, every value checked against its annotation.

    where: the file, to begin an error with. Keys that `kind` does not know are left out, so that a later minor addition
    to a file does not lock out older readers. Raises InputError naming the key, the value found and the type expected.
    """
    record: Record = _decode(kind, value, where)
    return record


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
        return {key: _decode(arguments[1], item, f"{where}: {key}") for key, item in items}
    number = float(value) if kind is float and type(value) is int else value
    return _expect(number, kind, where)


def _decode_dataclass(kind: Any, value: dict[str, Any], where: str) -> Any:
    hints = get_type_hints(kind)
    found = {}
    for field in dataclasses.fields(kind):
        if field.name in value:
            found[field.name] = _decode(hints[field.name], value[field.name], f"{where}: {field.name}")
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise InputError(f"{where}: {field.name}", found="nothing", expected=_name(hints[field.name]))
    return kind(**found)


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


def _expect(value: Any, kind: Any, where: str) -> Any:
    if kind is Any:
        return value
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise InputError(where, found=repr(value), expected=_name(kind))
    return value


def _name(kind: Any) -> str:
    plain = {str: "text", int: "a whole number", float: "a number", bool: "true or false", dict: "an object"}
    if kind in (list | tuple, list, tuple) or get_origin(kind) is tuple:
        return "a list"
    return "nothing" if kind is type(None) else plain.get(get_origin(kind) or kind, "an object")
