"""The mutable box of a framework whose arrays cannot change, or have no gradient."""

import operator


class Variable:
    """The small mutable box that NumPy and JAX use for a parameter or a state.

    ``value`` is the framework's array and ``grad`` its gradient of the same shape, or None. It
    computes and indexes like its array: ``s[:] = gamma * s + (1 - gamma) * p.grad**2``.
    """

    grad = None

    def __init__(self, value):
        self.value = value

    shape = property(lambda self: self.value.shape)
    dtype = property(lambda self: self.value.dtype)
    ndim = property(lambda self: self.value.ndim)
    size = property(lambda self: self.value.size)
    T = property(lambda self: self.value.T)

    def __len__(self):
        return len(self.value)

    def __getitem__(self, index):
        return self.value[index]

    def __array__(self, dtype=None, copy=None):
        import numpy as np

        return np.array(self.value, dtype=dtype) if copy else np.asarray(self.value, dtype=dtype)

    def __repr__(self):
        return f"Variable({self.value!r})"


def plain(a):
    """Return the array of a Variable, and anything else as it is."""
    return a.value if isinstance(a, Variable) else a


def _operators():
    """Give Variable the operators of its array; += and its like change it in place."""

    def value(a):
        return getattr(a, "value", a)

    def unary(operation):
        return lambda self: operation(self.value)

    def binary(operation):
        return lambda self, other: operation(self.value, value(other))

    def reflected(operation):
        return lambda self, other: operation(other, self.value)

    def in_place(operation):
        def operate(self, other):
            self[...] = operation(self.value, value(other))
            return self

        return operate

    for name in ("add", "sub", "mul", "truediv", "pow", "matmul"):
        operation = getattr(operator, name)
        setattr(Variable, f"__{name}__", binary(operation))
        setattr(Variable, f"__r{name}__", reflected(operation))
        setattr(Variable, f"__i{name}__", in_place(operation))
    for name in ("lt", "le", "gt", "ge"):
        setattr(Variable, f"__{name}__", binary(getattr(operator, name)))
    for name in ("neg", "abs"):
        setattr(Variable, f"__{name}__", unary(getattr(operator, name)))


_operators()
