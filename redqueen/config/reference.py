"""Every key of the configuration with its default and its text, read from the classes."""

import inspect
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from redqueen import registry
from redqueen.config.component import Of
from redqueen.config.run import Config


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a config file."""

    name: str
    """Within its section."""
    default: str
    """As TOML; empty: it has to be given, or nothing is the default."""
    text: str
    kind: str | None = None
    """Of the component that it names, or of those that it lists."""


@dataclass(frozen=True, slots=True)
class KeyTable:
    """The keys of one section, or of one component."""

    name: str
    """Dotted path of a section, empty for the top; or the name of a component."""
    text: str
    keys: tuple[Key, ...]


def literal(value: Any) -> str:
    """Return a plain value as TOML."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key} = {literal(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(literal, value)) + "]"
    return value.isoformat() if isinstance(value, date) else json.dumps(value, ensure_ascii=False)


def first_sentence(text: str) -> str:
    """Return a text up to its first full stop, or semicolon, that ends a word."""
    return " ".join(text.split()).partition(". ")[0].partition("; ")[0].rstrip(".")


def _section_of(field: FieldInfo) -> type[BaseModel] | None:
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _mark(field: FieldInfo) -> Of | None:
    """Return what a field says of the components in it, itself or as items."""
    for marks in (field.metadata, *_item_marks(field.annotation)):
        if mark := next((item for item in marks if isinstance(item, Of)), None):
            return mark
    return None


def _item_marks(annotation: Any) -> Iterator[tuple[Any, ...]]:
    for part in getattr(annotation, "__args__", ()):
        yield getattr(part, "__metadata__", ())


def _key(name: str, field: FieldInfo) -> Key:
    mark = _mark(field)
    default = None if field.is_required() else field.get_default(call_default_factory=True)
    shown = "" if default is None else literal(default)
    return Key(field.alias or name, shown, field.description or "", mark.kind if mark else None)


def _table(name: str, model: type[BaseModel]) -> KeyTable:
    keys = [_key(n, f) for n, f in model.model_fields.items() if _section_of(f) is None]
    return KeyTable(name, inspect.cleandoc(model.__doc__ or ""), tuple(keys))


def sections(model: type[BaseModel] = Config, name: str = "") -> Iterator[KeyTable]:
    """Yield the tables of all sections, each before those inside it."""
    yield _table(name, model)
    for part, field in model.model_fields.items():
        below = _section_of(field)
        if below is not None:
            yield from sections(below, f"{name}.{part}" if name else part)


def component(kind: str, name: str) -> KeyTable:
    """Return the table of a component; its module is imported.

    Raises:
        ConfigError: there is no such component, or an extra is missing.
    """
    return _table(name, registry.load(kind, name))


def texts() -> dict[str, str]:
    """Return the texts of all sections' keys by their dotted paths."""
    return {f"{table.name}.{key.name}".lstrip("."): key.text
            for table in sections() for key in table.keys}  # fmt: skip


def components(kind: str) -> Iterator[KeyTable]:
    """Yield the tables of all of the package's components of a kind that are `Component` classes.

    Raises:
        ConfigError: an extra is missing.
    """
    for name in registry.COMPONENTS[kind]:
        loaded = registry.load(kind, name)
        if isinstance(loaded, type) and issubclass(loaded, BaseModel):
            yield component(kind, name)
