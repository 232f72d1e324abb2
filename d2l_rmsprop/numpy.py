"""The chapter on NumPy, the small default. ``backend`` says what each name must do."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

try:
    from numpy.lib.array_utils import byte_bounds
except ImportError:  # before NumPy 2
    from numpy import byte_bounds

from .backend import *
from .backends import variable as boxes
from .backends.blocks import apply_in_blocks, widened
from .backends.compiling import Update
from .backends.namespace import *
from .lesson import data, styles


def version() -> str:
    return np.__version__


# arrays: float32 unless said otherwise, as the other frameworks make them


def zeros(shape: Any, dtype: Any = np.float32) -> Array:
    return np.zeros(shape, dtype)


def ones(shape: Any, dtype: Any = np.float32) -> Array:
    return np.ones(shape, dtype)


def tensor(a: Any, dtype: Any = None) -> Array:
    a = np.array(a, dtype)
    return a.astype(np.float32) if dtype is None and a.dtype == np.float64 else a


def normal(loc: float = 0.0, scale: float = 1.0, size: Any = None) -> Array:
    return np.float32(np.random.normal(loc, scale, size))


float32, float64, int32 = np.float32, np.float64, np.int32
arange, linspace, meshgrid, stack, matmul = np.arange, np.linspace, np.meshgrid, np.stack, np.matmul
square, sqrt, exp, log, abs = np.square, np.sqrt, np.exp, np.log, np.abs
sin, cos, tanh, sinh, cosh = np.sin, np.cos, np.tanh, np.sinh, np.cosh
reshape, size, reduce_sum, reduce_mean = np.reshape, np.size, np.sum, np.mean
from_numpy, split, native = np.asarray, data.split, data.as_is


# parameters, gradients and the change in place


class Variable(boxes.Variable):
    __doc__ = boxes.Variable.__doc__

    def __init__(self, value: Any) -> None:
        super().__init__(np.array(value))

    def __setitem__(self, index: Any, value: Any) -> None:
        self.value[boxes.plain(index)] = boxes.plain(value)

    def __array_ufunc__(
        self, ufunc: np.ufunc, method: str, *inputs: Any, out: tuple = (), **kwargs: Any
    ) -> Any:
        if out:
            kwargs["out"] = tuple(map(boxes.plain, out))
        result = getattr(ufunc, method)(*map(boxes.plain, inputs), **kwargs)
        return out[0] if len(out) == 1 else result


ndarray = np.ndarray
TYPES, MUTABLE, ARRAYS = (Variable,), (Variable, ndarray), (ndarray, np.generic, Variable)
variable, identity = Variable, id
missing_gradient = run_backward


def sound(params: Sequence, states: Sequence) -> bool:
    boxed, usual = True, None  # usual is the type of numbers of the last ones
    for x, s in zip(params, states):  # noqa: B905 - they are as many, and strict costs 0.1 us
        if type(x) is not Variable:
            return False
        a, g = x.value, x.grad
        if type(s) is Variable:
            s = s.value
        elif s.base is None:
            boxed = False
        else:  # it may be a view of another's memory, as a box's array is by hand alone
            return False
        shape, dtype = a.shape, a.dtype
        if not (
            type(g) is ndarray is type(s)
            and shape == s.shape
            and shape == g.shape
            and dtype is g.dtype
            and (dtype is s.dtype or s.dtype.kind == "f")
            and (dtype is usual or dtype.kind == "f")
            and a is not s
            and a.flags.writeable
            and s.flags.writeable
        ):
            return False
        usual = dtype
    arrays = [*params, *states]
    return len(set(arrays if boxed else map(id, arrays))) == len(arrays)


def passed(params: Sequence, states: Sequence) -> None:
    """Refuse views that share memory, which a step would write to twice."""
    names = [f"{name}[{i}]" for name in ("params", "states") for i in range(len(params))]
    arrays = list(map(boxes.plain, [*params, *states]))
    earlier: list[tuple[int, int]] = []  # where one ends, and its place
    for low, high, i in sorted((*byte_bounds(a), i) for i, a in enumerate(arrays)):
        earlier = [(end, j) for end, j in earlier if end > low]
        for _, j in earlier:
            if np.shares_memory(arrays[i], arrays[j]):
                first, second = sorted((names[i], names[j]))
                raise ValueError(f"{first} and {second} share their memory; make a copy of one.")
        earlier.append((high, i))


def obstacle(a: Any) -> str:
    a = boxes.plain(a)
    if not a.flags.writeable:
        return "is read-only; make a copy of it"
    if a.size and any(n > 1 and not step for n, step in zip(a.shape, a.strides, strict=True)):
        return "has elements that share their memory; make a copy of it"
    return ""


def place(a: Any) -> dict[str, Any]:
    a = boxes.plain(a)  # a matrix and a masked array have operators of their own
    own = isinstance(a, (np.matrix, np.ma.MaskedArray))
    return {"type": type(a).__name__ if own else "ndarray"}


def eager_apply(update: Rule, params: Sequence, states: Sequence, numbers: Sequence) -> None:
    # no strict in zip: they are as many, and it costs 0.1 us
    arrays = [
        (x.value, s.value if type(s) is Variable else s, x.grad)
        for x, s in zip(params, states)  # noqa: B905
    ]
    new = stepped(update, widened, arrays, numbers)
    for (x, s, _), (new_x, new_s) in zip(arrays, new):  # noqa: B905
        x[...] = new_x
        s[...] = new_s
    for x in params:
        x.grad = None


COMPILER, trial = None, data.as_is


def compiled_apply(update: Update, params: Sequence, states: Sequence, numbers: Sequence) -> None:
    for x, s in zip(params, states, strict=True):
        apply_in_blocks(update.function, x.value, boxes.plain(s), np.asarray(x.grad), *numbers)
        x.grad = None


# training


def parameter(a: np.ndarray) -> Array:
    return Variable(a)


def give_gradient(x: Array, g: Array) -> None:
    x.grad = g


def _write(x: Variable, value: Array) -> None:
    x.value[...] = boxes.plain(value)


def optimizer_step(
    trainer_fn: Optimizer, params: Sequence, states: Any, hyperparams: Any
) -> Callable[[list], None]:
    return styles.steps(trainer_fn, params, states, hyperparams, _write, boxes.plain)


def linreg_step(
    trainer_fn: Optimizer, states: Any, hyperparams: Any, w: Array, b: Array
) -> tuple[Step, Read]:
    w, b = parameter(w), parameter(b)
    take = optimizer_step(trainer_fn, [w, b], states, hyperparams)

    def step(X: Array, y: Array) -> None:
        error = linreg(X, w.value, b.value) - y.reshape(-1, 1)
        w.grad, b.grad = X.T @ error / len(X), error.sum(axis=0) / len(X)  # mean takes 3 us more
        take([w.grad, b.grad])

    return step, lambda: (w.value.copy(), b.value.copy())


def builtin_step(trainer: Any, hyperparams: Any, w: Array, b: Array) -> tuple[Step, Read]:
    raise NotImplementedError(
        "NumPy has no built-in optimizer; use train_ch11 here, or train_concise_ch11 of another "
        "framework."
    )


EPS_IN_SQRT = None


def builtin_rmsprop(lr: float, gamma: float, eps: float) -> tuple[Any, dict[str, float]] | None:
    return None


# Fashion-MNIST

CHANNEL_AXIS = 1


def mlp_gradients(params: Sequence, X: Array, y: Array) -> Array:
    W1, b1, W2, b2 = (x.value for x in params)
    hidden = np.maximum(X @ W1 + b1, 0)
    scores = hidden @ W2 + b2
    scores -= scores.max(axis=1, keepdims=True)  # or exp overflows
    log_p = scores - log(exp(scores).sum(axis=1, keepdims=True))
    rows = arange(len(y))
    by_scores = exp(log_p)
    by_scores[rows, y] -= 1
    by_scores /= len(y)
    by_hidden = by_scores @ W2.T * (hidden > 0)
    grads = X.T @ by_hidden, by_hidden.sum(axis=0), hidden.T @ by_scores, by_scores.sum(axis=0)
    for x, g in zip(params, grads, strict=True):
        x.grad = g
    return -log_p[rows, y].mean()


def builtin_update(params: Sequence, gamma: float, eps: float) -> Callable[[float], None]:
    raise NotImplementedError("NumPy has no built-in optimizer; use builtin=False here.")


bind(__name__)
