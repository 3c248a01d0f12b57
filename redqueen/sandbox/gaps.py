"""Tell what the monty interpreter lacks from what a program got wrong.

Monty reports both as ordinary exceptions. Each rule below asks whether CPython would have had
the thing that monty says is missing:

- `NotImplementedError` with the wording of monty's parser (generators, `del`, inheritance,
  method decorators, wildcard imports ...);
- `ModuleNotFoundError` for a module of CPython's standard library;
- `ImportError` for a name, or `AttributeError` for an attribute, that the same module or
  builtin type has in CPython (`str.translate`, `int.bit_length`, `math.sumprod` ...);
- `NameError` for a name of CPython's builtins (`callable`, `memoryview`, `super` ...);
- digits of other alphabets, and encodings;
- missing arguments and operations that monty itself calls unsupported, and access to files and
  the environment, which no sandbox grants.

Limits of this. A program that catches such an exception itself goes on, and its outcome is its
own. A program that raises one of these messages itself is called unsupported: it only harms
itself. And monty differs silently in a few places that no exception marks: `map`, `zip`,
`filter`, `enumerate`, `reversed` and generator expressions are lists, the order of a set may be
another, `round` to decimals works on the printed digits (`round(2.675, 2)` is 2.68), and a lone
surrogate in a literal becomes U+FFFD. A list that is extended with `+=` by what is no list raises
what CPython raises of `+`, so it counts as the program's error.
"""

import builtins
import codecs
import importlib
import re
import sys
from collections.abc import Callable
from types import ModuleType

_PARTIAL = """
    base64 binascii collections copy csv dataclasses datetime decimal functools hashlib io
    itertools json math os pathlib random re statistics sys time tomllib typing
"""
_SAFE_MODULES = frozenset(_PARTIAL.split())
"""Modules that monty has in part; importing them here to look at their names is harmless."""

_NAME = r"'([^']*)'"
_PARSER_GAP = re.compile(
    r"The monty syntax parser does not yet support|Wildcard imports \(|"
    r"cannot reassign read-only module attribute|(?:is|are) not (?:yet )?supported|"
    r"does not yet support|not (?:yet )?implemented"
)
_ARGUMENT_GAP = re.compile(
    r"does not yet support|is not (?:yet )?(?:supported|implemented)|type\(\) bases|by Monty|"
    r"^cannot convert '\w+' object to bytes|^cannot create 'object' instances|"
    r"^pow\(\) 2nd argument cannot be negative when 3rd|"
    r"^'typing\._\w+' object is not subscriptable"
)
_NUMBER_GAP = re.compile(
    r"^(?:invalid literal for int|could not convert string to float).*[^\x00-\x7f]", re.DOTALL
)
_NO_ENCODING = re.compile(r"^unknown encoding: ([\w-]+)$", re.ASCII)
_HOST_ACCESS = re.compile(r"is not supported in this environment|^Permission denied: '")
_NO_MODULE = re.compile(rf"No module named {_NAME}")
_NO_IMPORT = re.compile(rf"cannot import name {_NAME} from {_NAME}")
_NO_NAME = re.compile(rf"^name {_NAME} is not defined")
_NO_OBJECT_ATTRIBUTE = re.compile(rf"^{_NAME} object has no attribute {_NAME}")
_NO_TYPE_ATTRIBUTE = re.compile(rf"^type object {_NAME} has no attribute {_NAME}")
_NO_MODULE_ATTRIBUTE = re.compile(rf"^module {_NAME} has no attribute {_NAME}")


def _sample_types() -> dict[str, type]:
    """CPython's types by the names that monty's messages use."""
    modules = [builtins, *(m for m in map(_module, _SAFE_MODULES) if m is not None)]
    types: dict[str, type] = {}
    for module in modules:
        for name, value in vars(module).items():
            if isinstance(value, type) and not name.startswith("_"):
                types.setdefault(value.__name__, value)
    samples: list[object] = [_sample_types, [].append, sys, sys.stdout, None, (x for x in "")]
    samples += [{}.keys(), {}.values(), {}.items()]
    samples += [iter([]), iter(()), iter(""), iter({}), iter(set()), iter(range(0))]
    for kind in map(type, samples):
        types.setdefault(kind.__name__, kind)
        types.setdefault(f"{kind.__module__}.{kind.__name__}", kind)
    return types


def _module(name: str) -> ModuleType | None:
    return importlib.import_module(name) if name.split(".")[0] in _SAFE_MODULES else None


def _module_gap(message: str) -> bool:
    found = _NO_MODULE.search(message)
    return found is not None and found[1].split(".")[0] in sys.stdlib_module_names


def _import_gap(message: str) -> bool:
    found = _NO_IMPORT.search(message)
    if found is None:
        return _module_gap(message)
    module = _module(found[2])
    return module is not None and hasattr(module, found[1])


def _name_gap(message: str) -> bool:
    found = _NO_NAME.search(message)
    known = {"__builtins__", "__file__", "__loader__"}
    return found is not None and (hasattr(builtins, found[1]) or found[1] in known)


def _attribute_gap(message: str) -> bool:
    if found := _NO_MODULE_ATTRIBUTE.search(message):
        module = _module(found[1])
        return module is not None and hasattr(module, found[2])
    found = _NO_OBJECT_ATTRIBUTE.search(message) or _NO_TYPE_ATTRIBUTE.search(message)
    if found is None:
        return False
    owner = _TYPES.get(found[1])
    if owner is None:
        # An instance of the program's own class: only what every object has can be a gap.
        return hasattr(object, found[2]) and found[2].startswith("__")
    return hasattr(owner, found[2])


def _encoding_gap(message: str) -> bool:
    found = _NO_ENCODING.search(message)
    try:
        return found is not None and codecs.lookup(found[1]) is not None
    except LookupError:
        return False


_TYPES = _sample_types()
_RULES: dict[str, Callable[[str], bool]] = {
    "NotImplementedError": lambda message: _PARSER_GAP.search(message) is not None,
    "ModuleNotFoundError": _module_gap,
    "ImportError": _import_gap,
    "NameError": _name_gap,
    "AttributeError": _attribute_gap,
    "TypeError": lambda message: _ARGUMENT_GAP.search(message) is not None,
    "SyntaxError": lambda message: _PARSER_GAP.search(message) is not None,
    "ValueError": lambda message: (
        (_ARGUMENT_GAP.search(message) or _NUMBER_GAP.search(message)) is not None
    ),
    "LookupError": lambda message: (
        _ARGUMENT_GAP.search(message) is not None or _encoding_gap(message)
    ),
    "RuntimeError": lambda message: _HOST_ACCESS.search(message) is not None,
    "PermissionError": lambda message: _HOST_ACCESS.search(message) is not None,
}


def is_gap(exception: str, message: str) -> bool:
    """Whether exception type `exception` with `message` names something that monty lacks."""
    rule = _RULES.get(exception)
    return rule is not None and rule(message)
