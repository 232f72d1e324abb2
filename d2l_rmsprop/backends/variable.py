"""The mutable box of a framework whose arrays cannot change, or have no gradient."""

import copy
import operator
from collections.abc import Callable, Iterator
from typing import Any

from ..backend import Array


class Variable:
    """The small mutable box that NumPy and JAX use for a parameter or a state.

    ``value`` is the framework's array and ``grad`` its gradient of the same shape, or None. It
    behaves like its array, ``s[:] = gamma * s + (1 - gamma) * p.grad**2``, and has its methods;
    what they return are arrays. It is hashed by what it is, not by its numbers, as a tensor of
    PyTorch is. A copy holds an array of its own.
    """

    grad: Array = None

    def __init__(self, value: Array) -> None:
        self.value = value

    shape = property(operator.attrgetter("value.shape"))
    dtype = property(operator.attrgetter("value.dtype"))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "value":  # protocols; or a copy that has no value yet
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(self.value, name)

    def __getitem__(self, index: Any) -> Array:
        return self.value[plain(index)]

    def __iter__(self) -> Iterator[Array]:
        return iter(self.value)

    def __contains__(self, item: Any) -> bool:
        return bool((self.value == plain(item)).any())  # NumPy's rule, for rows too

    def __round__(self, digits: int | None = None) -> Array:
        return self.value.round().astype(int) if digits is None else self.value.round(digits)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        import numpy as np

        return np.array(self.value, dtype=dtype) if copy else np.asarray(self.value, dtype=dtype)

    def __copy__(self) -> "Variable":
        new = type(self)(self.value)
        new.grad = copy.copy(self.grad)
        return new

    def __deepcopy__(self, memo: Any) -> "Variable":
        return self.__copy__()

    def __format__(self, spec: str) -> str:
        return format(self.value, spec) if spec else str(self)

    def __repr__(self) -> str:
        return f"Variable({self.value!r})"

    __hash__ = object.__hash__


def plain(a: Any) -> Any:
    """Return the array of a Variable, and anything else as it is."""
    return a.value if isinstance(a, Variable) else a


def _operators() -> None:
    """Give Variable the operators of its array; += and its like change it in place."""

    def unary(operation: Callable) -> Callable:
        return lambda self: operation(self.value)

    def binary(operation: Callable) -> Callable:
        return lambda self, other: operation(self.value, plain(other))

    def reflected(operation: Callable) -> Callable:
        return lambda self, other: operation(other, self.value)

    def in_place(operation: Callable) -> Callable:
        def operate(self: Any, other: Any) -> Any:
            self[...] = operation(self.value, plain(other))
            return self

        return operate

    numeric = "add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul"
    for name in (*numeric, "and", "or", "xor", "lshift", "rshift"):
        operation = getattr(operator, name if hasattr(operator, name) else f"{name}_")
        setattr(Variable, f"__{name}__", binary(operation))
        setattr(Variable, f"__r{name}__", reflected(operation))
        # its own in-place operator: NumPy's refuses what its type cannot hold
        setattr(Variable, f"__i{name}__", in_place(getattr(operator, f"i{name}")))
    for name, operation in ("divmod", binary(divmod)), ("rdivmod", reflected(divmod)):
        setattr(Variable, f"__{name}__", operation)
    for name in ("lt", "le", "gt", "ge", "eq", "ne"):
        setattr(Variable, f"__{name}__", binary(getattr(operator, name)))
    for name in ("neg", "pos", "abs", "invert", "index"):
        setattr(Variable, f"__{name}__", unary(getattr(operator, name)))
    for kind in (bool, int, float, complex, len):
        setattr(Variable, f"__{kind.__name__}__", unary(kind))


_operators()
