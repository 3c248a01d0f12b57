"""Components in the configuration: a name, or a table `{type = "name", its own keys}`.

A component is a `Component` class: its fields are its keys, so they live in the file that uses
them, and its methods are what it does. `redqueen.registry` knows where each name lives.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import core_schema

from redqueen import registry
from redqueen.config.section import Section
from redqueen.errors import ConfigError


class Component(Section):
    """Base of everything that a config names by type."""


def build_component(kind: str, value: Any, default: str | None = None) -> Component:
    """Return the component that a name, a table with `type`, or a ready component stands for.

    A table without `type` is of the type `default`.

    Raises:
        ValueError: not a component of this kind, or its keys are not valid (then as pydantic's
            ValidationError, whose places are relative to the table).
    """
    if isinstance(value, Component):
        return value
    table = {"type": value} if isinstance(value, str) else value
    if default is not None and isinstance(table, Mapping):
        table = {"type": default, **table}
    if not isinstance(table, Mapping) or not isinstance(table.get("type"), str):
        raise ValueError('should be a name, or a table with type = "…" and its keys')
    try:
        component = registry.load(kind, table["type"])
    except ConfigError as error:
        raise ValueError(str(error)) from None
    if not issubclass(component, Component):
        raise ValueError(f"{table['type']!r} is not a Component (see redqueen.config.component)")
    return component.model_validate({key: item for key, item in table.items() if key != "type"})


def component_name(kind: str, component: Component) -> str:
    """Return the shortest name that a config could give the component's type."""
    target = f"{type(component).__module__}:{type(component).__qualname__}"
    return registry.name_of(kind, target)


def dump_component(kind: str, component: Component) -> dict[str, Any]:
    """Return the table that gives an equal component: its type and all its keys."""
    return {"type": component_name(kind, component), **component.model_dump()}


@dataclass(frozen=True, slots=True)
class Of:
    """Annotation of a field that holds one component: `Annotated[Selection, Of("selection")]`.

    The default may be a name (`Field("truncation")`), which is looked up when a config is made.
    """

    kind: str
    default: str | None = None
    """Type of a table that does not name one."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(
            lambda value: build_component(self.kind, value, self.default),
            serialization=core_schema.plain_serializer_function_ser_schema(
                lambda component: dump_component(self.kind, component)
            ),
        )
