"""The chapter on MXNet. ``backend`` says what each name must do."""

import ctypes
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as onp

from .backend import *
from .backends import mxnet_numpy  # noqa: F401 - before MXNet itself

with importing("mxnet"):
    from mxnet import __version__, autograd, gluon, np, npx, optimizer
    from mxnet.base import _LIB, check_call

npx.set_np()

from .backends.blocks import apply_in_blocks, memory
from .backends.compiling import Update
from .backends.gluon import dense_step
from .backends.namespace import *
from .lesson import data, styles


def version() -> str:
    return __version__


# arrays

float32, float64, int32 = np.float32, np.float64, np.int32
zeros, ones, tensor, normal = np.zeros, np.ones, np.array, np.random.normal
arange, linspace, meshgrid, stack, matmul = np.arange, np.linspace, np.meshgrid, np.stack, np.dot
# NumPy's hand an MXNet array on to MXNet's own, and take the blocks of a compiled step as well
square, sqrt, exp, log, abs = onp.square, onp.sqrt, onp.exp, onp.log, onp.abs
sin, cos, tanh, sinh, cosh = onp.sin, onp.cos, onp.tanh, onp.sinh, onp.cosh
reshape, reduce_sum, reduce_mean = np.ndarray.reshape, np.ndarray.sum, np.ndarray.mean
size = operator.attrgetter("size")
native = data.as_is


def from_numpy(a: onp.ndarray) -> Array:
    """Return MXNet's array of the same dtype, where np.array makes float64 float32."""
    return np.array(a, dtype=a.dtype)


def split(a: onp.ndarray, batch_size: int) -> Sequence[Array]:
    return data.split(from_numpy(a), batch_size)


# parameters, gradients and the change in place

TYPES = MUTABLE = ARRAYS = (np.ndarray,)
obstacle, place, passed = no_obstacle, no_place, no_memory


def variable(a: Array) -> Array:
    return a


def identity(a: Array) -> int:
    """Return where an array's numbers are: a.detach() and a.reshape() share those of a."""
    address = ctypes.c_void_p()
    check_call(_LIB.MXNDArrayGetData(a.handle, ctypes.byref(address)))
    return address.value or 0


def sound(params: Sequence, states: Sequence) -> bool:
    for x, s in zip(params, states, strict=True):
        if not (
            type(x) is type(s) is type(x.grad) is np.ndarray  # the gradient is as x: MXNet's work
            and x.shape == s.shape
            and is_float(x.dtype)
            and is_float(s.dtype)
        ):
            return False
    arrays = [*params, *states]
    return len(set(map(identity, arrays))) == len(arrays)


def missing_gradient(x: Array) -> str:
    return "call x.attach_grad() before autograd.record(), and " + run_backward(x)


def widened(x: Array, s: Array, g: Array) -> list[Array]:
    wide = onp.promote_types(x.dtype, s.dtype)
    return [a.astype(wide) for a in (x, s, g)]


def eager_apply(update: Rule, params: Sequence, states: Sequence, numbers: Sequence) -> None:
    with autograd.pause():
        arrays = [(x, s, x.grad) for x, s in zip(params, states, strict=True)]
        new = stepped(update, widened, arrays, numbers)
        for x, s, pair in zip(params, states, new, strict=True):
            _write((x, s), pair)
            _use_up(x)


def _write(old: Sequence[Array], new: Sequence[Array]) -> None:
    for a, b in zip(old, new, strict=True):
        if a is not b:  # an update may return its s as it is
            b.copyto(a)  # a[()] = b takes seven times as long


def _use_up(x: Array) -> None:
    """Zero the gradient, for grad_req="add"; its buffer belongs to x and cannot be let go."""
    np.full_like(x.grad, 0, out=x.grad)


COMPILER, trial = None, data.as_is


def compiled_apply(update: Update, params: Sequence, states: Sequence, numbers: Sequence) -> None:
    """Take the step in NumPy's blocks, on the memory of MXNet's arrays."""
    npx.waitall()  # MXNet runs behind: it may have yet to write or read these arrays
    for x, s in zip(params, states, strict=True):
        arrays = x, s, x.grad
        if not all(a.ctx.device_type.startswith("cpu") for a in arrays):
            eager_apply(update.function, [x], [s], numbers)
            continue
        shape, dtype = x.shape, x.dtype  # each takes 1 us
        views = [
            memory(identity(a), shape, kind)
            for a, kind in zip(arrays, (dtype, s.dtype, dtype), strict=True)
        ]
        apply_in_blocks(update.function, *views, *numbers)
        views[2][...] = 0


# training


def parameter(a: onp.ndarray) -> Array:
    x = from_numpy(a)
    x.attach_grad()
    return x


def give_gradient(x: Array, g: Array) -> None:
    g.copyto(x.grad)


def _write_into(x: Array, value: Array) -> None:
    x[()] = value  # x[:] would refuse one number


def optimizer_step(
    trainer_fn: Optimizer, params: Sequence, states: Any, hyperparams: Any
) -> Callable[[list], None]:
    return styles.steps(trainer_fn, params, states, hyperparams, _write_into)


def linreg_step(
    trainer_fn: Optimizer, states: Any, hyperparams: Any, w: Array, b: Array
) -> tuple[Step, Read]:
    w, b = parameter(w), parameter(b)
    take = optimizer_step(trainer_fn, [w, b], states, hyperparams)

    def step(X: Array, y: Array) -> None:
        with autograd.record():
            loss = squared_loss(linreg(X, w, b), y).mean()
        loss.backward()
        take([w.grad, b.grad])

    return step, lambda: (w.asnumpy(), b.asnumpy())


def builtin_step(trainer: Any, hyperparams: Any, w: Array, b: Array) -> tuple[Step, Read]:
    return dense_step(from_numpy, trainer, hyperparams, w, b)


EPS_IN_SQRT = True


def builtin_rmsprop(lr: float, gamma: float, eps: float) -> tuple[Any, dict[str, float]]:
    return "rmsprop", {"learning_rate": lr, "gamma1": gamma, "epsilon": eps}


# Fashion-MNIST

CHANNEL_AXIS = 1


def mlp_gradients(params: Sequence, X: Array, y: Array) -> Array:
    W1, b1, W2, b2 = params
    for x in params:
        if x.grad is None:
            x.attach_grad()
    with autograd.record():
        scores = np.dot(npx.relu(np.dot(X, W1) + b1), W2) + b2
        loss = gluon.loss.SoftmaxCrossEntropyLoss()(scores, y).mean()
    loss.backward()
    return loss


def builtin_update(params: Sequence, gamma: float, eps: float) -> Callable[[float], None]:
    rmsprop = optimizer.create("rmsprop", gamma1=gamma, epsilon=eps)
    updater = optimizer.get_updater(rmsprop)

    def update(lr: float) -> None:
        rmsprop.set_learning_rate(lr)
        for i, x in enumerate(params):
            updater(i, x.grad, x)

    return update


bind(__name__)
