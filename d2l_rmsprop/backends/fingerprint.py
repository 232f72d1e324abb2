"""What a function's result depends on beside its arguments, as far as it can be known."""

import builtins
import dis
import functools
import operator
import re
import sys
from collections.abc import Hashable, Iterable, Sequence
from types import CellType, CodeType, FunctionType, MethodDescriptorType, MethodType, ModuleType
from typing import Any, NamedTuple

import numpy as np

from ..backend import BACKENDS

OURS = __name__.partition(".")[0]
LIBRARIES = {"math", "cmath", "operator", "jaxlib", *BACKENDS}  # what they offer stays as it is
VALUES = {bool, int, float, complex, str, bytes, type(None), type(...)}
DTYPES = {"dtype", "datatype", "vartype"}  # how libraries call the type of float32
PURE = {"abs", "bool", "complex", "divmod", "enumerate", "float", "int", "list", "max"}
PURE |= {"min", "pow", "range", "reversed", "round", "slice", "sum", "tuple", "zip"}
EFFECTS = {
    "STORE_GLOBAL": "changes a global",
    "DELETE_GLOBAL": "changes a global",
    "STORE_ATTR": "changes an attribute",
    "DELETE_ATTR": "changes an attribute",
    "IMPORT_NAME": "imports inside",
    "RAISE_VARARGS": "raises errors of its own",
}
# a number that is traced is another object, though equal
EFFECTS |= dict.fromkeys(
    ("BUILD_MAP", "BUILD_CONST_KEY_MAP", "BUILD_SET", "MAP_ADD", "SET_ADD"),
    "has a dict or a set, where a traced number is not found",
)
EFFECTS |= dict.fromkeys(
    ("FORMAT_VALUE", "FORMAT_SIMPLE", "FORMAT_WITH_SPEC"),
    "makes text, where a traced number is another one",
)
RANDOM = re.compile("rand|normal|uniform|bernoulli|dropout|poisson|print|callback")
SHAPE = {"shape", "ndim", "size", "numel", "nelement", "nbytes", "dim", "rank"}


class Unknown(Exception):
    """Why a function may do something else at its next call, as the end of a sentence."""


def fingerprint(function: Any) -> Hashable:
    """Return a key that is equal for functions that do the same: the code and all that it reads.

    Raises Unknown for a function that reads what may change behind its name (a list, an array, an
    object of the reader's own), changes something itself, draws random numbers, or asks for the
    shape of its arguments.
    """
    return _callable(function, [])


class Glance(NamedTuple):
    """What a plain function read when its fingerprint was taken: objects that cannot change.

    One that reads the very same has the same fingerprint, and this takes a fifth of the time.
    """

    code: CodeType
    cells: list[Any]
    names: list[tuple[str, Any]]  # of globals
    attributes: list[tuple[ModuleType, str, Any]]

    @classmethod
    def at(cls, function: Any) -> "Glance | None":
        """Return what ``function`` reads, or None where more than a glance is needed."""
        if not _is_plain(function):
            return None
        names, attributes, _ = _reads(function.__code__)
        cells = list(map(_content, function.__closure__ or ()))
        read = [(name, function.__globals__.get(name, _NOTHING)) for name in names]
        values = [*cells, *(value for _, value in read)]
        modules = [
            (m, name, vars(m).get(name, _NOTHING))
            for m in values
            if isinstance(m, ModuleType)
            for name in attributes
        ]
        values = [v for v in values if not isinstance(v, ModuleType)]
        values += [v for m, _, v in modules if not _is_own(m, v)]
        constant = all(type(v) in VALUES or v is _NOTHING or _is_constant(v) for v in values)
        return cls(function.__code__, cells, read, modules) if constant else None

    def shows(self, function: Any) -> bool:
        """Whether ``function`` reads the very same."""
        return (
            _is_plain(function)
            and function.__code__ is self.code
            and all(map(operator.is_, map(_content, function.__closure__ or ()), self.cells))
            and all(function.__globals__.get(n, _NOTHING) is value for n, value in self.names)
            and all(vars(m).get(n, _NOTHING) is value for m, n, value in self.attributes)
        )


_NOTHING = object()


def _content(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # it is empty
        return _NOTHING


def _is_plain(function: Any) -> bool:
    return type(function) is FunctionType and not (
        function.__defaults__ or function.__kwdefaults__ or function.__dict__
    )


def _callable(function: Any, seen: list) -> Hashable:
    if isinstance(function, functools.partial):
        named = [("an argument of partial", a) for a in function.args]
        inner = _callable(function.func, seen)
        return inner, *_keys([*named, *function.keywords.items()], (), seen)
    if isinstance(function, MethodType):
        inner = _callable(function.__func__, seen)
        return inner, *_keys([("self", function.__self__)], (), seen)
    if not isinstance(function, FunctionType):
        raise Unknown(f"is a {_type(function)}, whose attributes may change")
    if function in seen:  # it calls itself
        return seen.index(function)
    seen.append(function)
    names, attributes, objection = _reads(function.__code__)
    if _home(function) in LIBRARIES:  # such as what jax.grad returns
        names, objection = (), ""
    if objection:
        raise Unknown(objection)
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    values = [(name, cell.cell_contents) for name, cell in cells if cell != CellType()]
    values += [("a default", value) for value in function.__defaults__ or ()]
    values += [*(function.__kwdefaults__ or {}).items(), *vars(function).items()]
    values += [(n, function.__globals__[n]) for n in names if n in function.__globals__]
    for name in names:
        if name not in function.__globals__ and name in vars(builtins).keys() - PURE:
            raise Unknown(f"calls {name}")
    return function.__code__, *_keys(values, attributes, seen)


def _keys(
    values: Iterable[tuple[str, Any]], attributes: Sequence[str], seen: list
) -> list[Hashable]:
    return [(name, _key(name, value, attributes, seen)) for name, value in values]


def _key(name: str, value: Any, attributes: Sequence[str], seen: list) -> Hashable:
    if _constants.get(id(value)) is value:
        return value
    kind = type(value)
    if kind in VALUES or isinstance(value, (np.number, np.bool_)):
        return kind, repr(value)  # 1 is not 1.0, nor 0.0 -0.0
    if kind is tuple:
        return tuple(_key(name, item, attributes, seen) for item in value)
    if isinstance(value, ModuleType):
        content = vars(value)
        found = [(n, content[n]) for n in attributes if n in content]
        found = [(n, v) for n, v in found if type(v) in VALUES or not _is_own(value, v)]
        return value, *_keys(found, attributes, seen)
    if _is_constant(value):
        return value
    if isinstance(value, (FunctionType, MethodType, functools.partial)):
        return _callable(value, seen)
    if _root(kind.__module__) in LIBRARIES and hasattr(value, "__wrapped__"):  # by jax.jit
        return _key(name, value.__wrapped__, attributes, seen)
    raise Unknown(f"reads {name}, a {_type(value)}, whose content may change between steps")


def _is_own(module: ModuleType, value: Any) -> bool:
    """Whether a library has this from the start: all but functions that a reader put there."""
    if _root(module.__name__) not in LIBRARIES:
        return False
    return type(value) is not FunctionType or _home(value) in LIBRARIES


def _home(function: FunctionType) -> str:
    """Return the package that a function is of; what exec has made may have none."""
    return _root(function.__globals__.get("__name__", ""))


def _is_constant(value: Any) -> bool:
    """Whether this is a library's, or ours, and stays as it is."""
    if isinstance(value, FunctionType) and _home(value) == OURS:
        return True
    if isinstance(value, MethodDescriptorType):  # torch.Tensor.sum
        return True
    kind = type(value)
    if kind.__name__.lower() in DTYPES and _root(kind.__module__) in LIBRARIES:
        return True
    name = str(getattr(value, "__name__", ""))
    for module in (str(getattr(value, "__module__", "")), _root(kind.__module__)):
        known = _root(module) in LIBRARIES | {OURS}
        if known and vars(sys.modules.get(module, sys)).get(name) is value:  # a ufunc by its type's
            _constants[id(value)] = value
            return True
    return False


_constants: dict[int, Any] = {}  # what is known to be one; held, so that the id stays its own


@functools.lru_cache(1024)
def _reads(code: CodeType) -> tuple[Sequence[str], Sequence[str], str]:
    """Return the globals and the attributes that code names, and what speaks against it."""
    names: dict[str, None] = {}  # in the order of the code, each once
    attributes: dict[str, None] = {}
    objection = ""
    for instruction in dis.get_instructions(code):
        operation, name = instruction.opname, instruction.argval
        if operation in ("LOAD_GLOBAL", "LOAD_NAME"):
            names[name] = None
        elif operation in ("LOAD_ATTR", "LOAD_METHOD"):
            attributes[name] = None
        if operation in EFFECTS:
            objection = EFFECTS[operation]
        elif operation == "STORE_DEREF" and name in code.co_freevars:
            objection = f"changes {name}"
        elif isinstance(name, frozenset):
            objection = EFFECTS["BUILD_SET"]
        elif isinstance(name, CodeType):  # a function inside
            inner_names, inner_attributes, inner_objection = _reads(name)
            names |= dict.fromkeys(inner_names)
            attributes |= dict.fromkeys(inner_attributes)
            objection = inner_objection or objection
    for name in (*names, *attributes):
        if RANDOM.search(name):
            objection = f"calls {name}, which may do something else at each call"
        elif name in SHAPE:
            objection = f"asks for the {name}, and sees another in a compiled step"
    return tuple(names), tuple(attributes), objection


def _root(module: str) -> str:
    return module.partition(".")[0]


def _type(value: Any) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")
