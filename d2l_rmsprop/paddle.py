"""The chapter on PaddlePaddle. ``backend`` says what each name must do."""

import logging
import sys
import warnings
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np

from .backend import *

if "paddle" not in sys.modules and sys.modules.get("tensorflow") and find_spec("paddle"):
    raise FrameworkError(  # the process would die of a segmentation fault
        "Paddle cannot be imported after TensorFlow; in a new process, import Paddle first.",
        name="paddle",
    )
_root = logging.getLogger()
_level, _handlers = _root.level, _root.handlers[:]
with importing("paddle"), warnings.catch_warnings():
    warnings.simplefilter("ignore")  # that there is no ccache
    import paddle
_root.setLevel(_level)  # Paddle sets both for the whole process
_root.handlers[:] = _handlers
paddle.disable_signal_handler()  # or it answers SIGTERM with a traceback of its own

from .backends.blocks import apply_in_blocks, memory, on_blocks_too
from .backends.compiling import Update
from .backends.namespace import *
from .lesson import data, styles


def version() -> str:
    return paddle.__version__


# arrays

float32, float64, int32 = paddle.float32, paddle.float64, paddle.int32
zeros, ones, tensor, normal = paddle.zeros, paddle.ones, paddle.to_tensor, paddle.normal
arange, linspace, meshgrid = paddle.arange, paddle.linspace, paddle.meshgrid
stack, matmul = paddle.stack, paddle.matmul
square, sqrt, exp, log, abs = on_blocks_too(paddle, "square", "sqrt", "exp", "log", "abs")
sin, cos, tanh, sinh, cosh = on_blocks_too(paddle, "sin", "cos", "tanh", "sinh", "cosh")
reshape, reduce_sum, reduce_mean = paddle.reshape, paddle.sum, paddle.mean
from_numpy, native = paddle.to_tensor, data.as_is


def split(a: np.ndarray, batch_size: int) -> Sequence[Array]:
    return data.split(from_numpy(a), batch_size)


def size(a: Array) -> int:
    return a.size


# parameters, gradients and the change in place

TYPES = MUTABLE = ARRAYS = (paddle.Tensor,)
identity, passed = paddle.Tensor.data_ptr, no_memory


def variable(a: Array) -> Array:
    return a


def sound(params: Sequence, states: Sequence) -> bool:
    for x, s in zip(params, states, strict=True):
        if not (isinstance(x, paddle.Tensor) and isinstance(s, paddle.Tensor) and x.is_leaf):
            return False
        g = x.grad
        if not (
            g.is_dense()
            and s.is_dense()
            and s.is_contiguous()
            and x.is_contiguous()
            and x.shape == s.shape == g.shape
            and x.dtype == g.dtype
            and is_float(x.dtype)
            and is_float(s.dtype)
            and x.place == s.place
        ):
            return False
    arrays = [*params, *states]
    return len(set(map(identity, arrays))) == len(arrays)


def place(a: Array) -> dict[str, Any]:
    return {"layout": "dense" if a.is_dense() else "sparse", "device": str(a.place)}


def obstacle(a: Array) -> str:
    if not a.is_leaf:
        return "is not a leaf: it was computed from other tensors; step those, or a.detach() of it"
    if a.size and a.is_dense() and any(n > 1 and not k for n, k in zip(a.shape, a.strides)):  # noqa: B905
        return "has elements that share their memory, as as_strided() makes them; clone() it"
    return ""


def missing_gradient(x: Array) -> str:
    if x.stop_gradient:
        return "its stop_gradient is True, so leave it out or set it to False before the loss"
    return run_backward(x)


def widened(x: Array, s: Array, g: Array) -> list[Array]:
    wide = float64 if float64 in (x.dtype, s.dtype) else float32
    return [a.astype(wide) for a in (x, s, g)]


_WHOLE = {float32, float64}


def _computable(a: Array) -> Array:
    """Return a tensor that Paddle computes with: of 16 bits it has but a few functions on a CPU."""
    return a if a.dtype in _WHOLE or not a.place.is_cpu_place() else a.astype(float32)


@paddle.no_grad()
def eager_apply(update: Rule, params: Sequence, states: Sequence, numbers: Sequence) -> None:
    pairs = list(zip(params, states, strict=True))
    arrays = [(_computable(x), _computable(s), _computable(x.grad)) for x, s in pairs]
    new = stepped(update, widened, arrays, numbers)
    for (x, s), (new_x, new_s) in zip(pairs, new, strict=True):
        x.copy_(new_x.astype(x.dtype), False)
        s.copy_(new_s.astype(s.dtype), False)
        x.grad = None


COMPILER, trial = None, data.as_is


@paddle.no_grad()
def compiled_apply(update: Update, params: Sequence, states: Sequence, numbers: Sequence) -> None:
    """Take the step in NumPy's blocks, on the memory of Paddle's tensors."""
    for x, s in zip(params, states, strict=True):
        arrays = x, s, x.grad
        if not (x.size and all(map(_has_memory, arrays))):
            eager_apply(update.function, [x], [s], numbers)
            continue
        views = [memory(a.data_ptr(), tuple(a.shape), str(a.dtype)[7:]) for a in arrays]
        apply_in_blocks(update.function, *views, *numbers)
        x.grad = None


def _has_memory(a: Array) -> bool:
    return a.dtype in _WHOLE and a.place.is_cpu_place() and a.is_contiguous()


# training


def parameter(a: np.ndarray) -> Array:
    return paddle.to_tensor(a, stop_gradient=False)


def give_gradient(x: Array, g: Array) -> None:
    x.grad = g


def _write(x: Array, value: Array) -> None:
    x.copy_(paddle.assign(value).astype(x.dtype), False)


def optimizer_step(
    trainer_fn: Optimizer, params: Sequence, states: Any, hyperparams: Any
) -> Callable[[list], None]:
    return paddle.no_grad()(styles.steps(trainer_fn, params, states, hyperparams, _write))


def linreg_step(
    trainer_fn: Optimizer, states: Any, hyperparams: Any, w: Array, b: Array
) -> tuple[Step, Read]:
    styles.check_gradients(paddle.is_grad_enabled())
    w, b = parameter(w), parameter(b)
    take = optimizer_step(trainer_fn, [w, b], states, hyperparams)

    def step(X: Array, y: Array) -> None:
        w.clear_gradient(), b.clear_gradient()  # not every optimizer does
        squared_loss(linreg(X, w, b), y).mean().backward()
        take([w.grad, b.grad])

    return step, lambda: (w.numpy(), b.numpy())


def builtin_step(trainer: Any, hyperparams: Any, w: Array, b: Array) -> tuple[Step, Read]:
    styles.check_gradients(paddle.is_grad_enabled())
    zero = paddle.nn.initializer.Constant()  # the reader's generator stays as it is
    net = paddle.nn.Linear(*w.shape, weight_attr=zero, bias_attr=zero).to(dtype=w.dtype.name)
    net.weight.set_value(w), net.bias.set_value(b)
    make = styles.maker(trainer, paddle.optimizer.Optimizer, "paddle.optimizer.RMSProp")
    optimizer = make(hyperparams, parameters=net.parameters())

    def step(X: Array, y: Array) -> None:
        squared_loss(net(X), y).mean().backward()
        optimizer.step()
        optimizer.clear_grad()

    return step, lambda: (net.weight.numpy(), net.bias.numpy())


EPS_IN_SQRT = True


def builtin_rmsprop(lr: float, gamma: float, eps: float) -> tuple[Any, dict[str, float]]:
    return paddle.optimizer.RMSProp, {"learning_rate": lr, "rho": gamma, "epsilon": eps}


# Fashion-MNIST

CHANNEL_AXIS = 1


def mlp_gradients(params: Sequence, X: Array, y: Array) -> Array:
    for x in params:
        x.stop_gradient = False
    W1, b1, W2, b2 = params
    scores = paddle.nn.functional.relu(X @ W1 + b1) @ W2 + b2
    loss = paddle.nn.functional.cross_entropy(scores, y)
    loss.backward()
    return loss.detach()


def builtin_update(params: Sequence, gamma: float, eps: float) -> Callable[[float], None]:
    optimizer = paddle.optimizer.RMSProp(0.0, gamma, eps, parameters=params)

    def update(lr: float) -> None:
        optimizer.set_lr(lr)
        optimizer.step()
        optimizer.clear_grad()

    return update


bind(__name__)
