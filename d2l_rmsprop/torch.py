"""The chapter on PyTorch. ``backend`` says what each name must do."""

import contextlib
import functools
import types
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any


from .backend import *

with importing("torch"):
    import torch

from .backends.compiling import Update
from .backends.namespace import *
from .lesson import data, styles


def version() -> str:
    return torch.__version__


# arrays

float32, float64, int32 = torch.float32, torch.float64, torch.int32
zeros, ones, tensor, normal = torch.zeros, torch.ones, torch.tensor, torch.normal
arange, linspace, meshgrid = torch.arange, torch.linspace, torch.meshgrid
stack, matmul = torch.stack, torch.matmul
square, sqrt, exp, log, abs = torch.square, torch.sqrt, torch.exp, torch.log, torch.abs
sin, cos, tanh, sinh, cosh = torch.sin, torch.cos, torch.tanh, torch.sinh, torch.cosh
reshape, size = torch.Tensor.reshape, torch.Tensor.numel
reduce_sum, reduce_mean = torch.Tensor.sum, torch.Tensor.mean
from_numpy, native = torch.from_numpy, data.as_is


def split(a: Array, batch_size: int) -> Sequence[Array]:
    return data.split(from_numpy(a), batch_size)


# parameters, gradients and the change in place

TYPES = MUTABLE = ARRAYS = (torch.Tensor,)


def variable(a: Array) -> Array:
    return a


identity = torch.Tensor.data_ptr
_passed: dict[int, Callable[..., bool]] = {}  # of a first parameter's id; no array is held


def sound(params: Sequence, states: Sequence) -> bool:
    grads = [x.grad for x in params if x.is_leaf]  # another's would warn
    arrays = [*params, *states]
    as_passed = _passed[id(params[0])](*arrays, *grads)
    return as_passed and len(set(map(identity, arrays))) == len(arrays)


def passed(params: Sequence, states: Sequence) -> None:
    """Remember types, shapes, layouts and devices by what torch.compile knows its inputs again."""
    arrays = [*params, *states, *(x.grad for x in params)]
    if len(_passed) >= 64:
        _passed.clear()
    with contextlib.suppress(Exception):  # it is torch's own affair, and takes strided ones alone
        from torch._C._dynamo.guards import TensorGuards

        sizes: list = [list(a.shape) for a in arrays]
        strides: list = [list(a.stride()) for a in arrays]
        guards = TensorGuards(*arrays, dynamic_dims_sizes=sizes, dynamic_dims_strides=strides)
        _passed[id(params[0])] = guards.check


def place(a: Array) -> dict[str, Any]:
    return {"layout": a.layout, "device": a.device}


def obstacle(a: Array) -> str:
    if not (a.is_leaf or a.retains_grad):
        return "is not a leaf: it was computed from other tensors; step those, or a.detach() of it"
    if a.is_inference() and not torch.is_inference_mode_enabled():
        return "was made in inference mode, which forbids to change it here; clone() it"
    if a.numel() and any(
        step == 0 and n > 1 for n, step in zip(a.shape, _strides(a), strict=False)
    ):
        return "has elements that share their memory, as expand() makes them; clone() it"
    return ""


def _strides(a: Array) -> Sequence[int]:
    return a.stride() if a.layout == torch.strided else ()


def missing_gradient(x: Array) -> str:
    if x.requires_grad:
        return run_backward(x)
    return "its requires_grad is False, so leave it out or set x.requires_grad_() before the loss"


def widened(x: Array, s: Array, g: Array) -> list[Array]:
    wide = torch.promote_types(x.dtype, s.dtype)
    return [a.to(wide) for a in (x, s, g)]


@torch.no_grad()
def eager_apply(update: Rule, params: Sequence, states: Sequence, numbers: Sequence) -> None:
    arrays = [(x, s, x.grad) for x, s in zip(params, states, strict=True)]
    new = stepped(update, widened, arrays, numbers)
    torch._foreach_copy_([*params, *states], [x for x, _ in new] + [s for _, s in new])
    for x in params:
        x.grad = None  # let go of it; a caller may still hold the buffer


COMPILER = "torch.compile"
trial = data.as_is
SMALL = 10_000  # elements; fewer cost more to call the compiled step for than to gather
GATHERED = 2**17  # elements in one call, about, so that they stay in the cache


@torch.no_grad()
def compiled_apply(update: Update, params: Sequence, states: Sequence, numbers: Sequence) -> None:
    if sum(x.numel() for x in params) < SMALL:  # nothing to gain
        return eager_apply(update.function, params, states, numbers)
    compiled, plain = _compile(update)
    inputs = [torch.tensor(n, dtype=torch.float64) for n in numbers]

    def step(*arrays: Array) -> None:
        update.attempt(
            (*(a.dtype for a in arrays), arrays[0].device.type),
            functools.partial(compiled, *arrays, *inputs),
            functools.partial(plain, *arrays, *numbers),
        )

    small, elements = defaultdict(list), 0
    for x, s in zip(params, states, strict=True):
        g = x.grad
        torch.autograd.graph.increment_version(x)  # so that autograd sees the change
        if not (x.is_contiguous() and s.is_contiguous() and g.is_contiguous()):
            step(x.data, s.data, g.data)
            continue
        # one compilation for every shape; .data, since it tells views of different arrays apart
        arrays = x.view(-1).data, s.view(-1).data, g.view(-1).data
        if x.numel() >= SMALL:
            step(*arrays)
        else:
            small[elements // GATHERED, x.dtype, s.dtype, g.dtype, x.device].append(arrays)
            elements += x.numel()
    for group in small.values():
        xs, ss, gs = zip(*group, strict=True)
        x, s = torch.cat(xs), torch.cat(ss)
        step(x, s, torch.cat(gs))
        sizes = [a.numel() for a in xs]
        torch._foreach_copy_(xs, x.split(sizes))
        torch._foreach_copy_(ss, s.split(sizes))
    for x in params:
        x.grad = None  # let go of it; a caller may still hold the buffer


@functools.lru_cache(64)
def _compile(update: Update) -> tuple[Callable, Callable]:
    """Return the step that writes to x and s, compiled and as it is."""

    def step(x: Array, s: Array, g: Array, *numbers: Array) -> None:
        ((new_x, new_s),) = stepped(update.function, widened, [(x, s, g)], numbers)
        x.copy_(new_x)
        s.copy_(new_s)

    # a code object of its own: torch stops compiling one after 8 kinds of arguments
    step = types.FunctionType(step.__code__.replace(), globals(), closure=step.__closure__)
    # as /proc/cpuinfo says: to try each instruction set takes as long again as the compilation
    options = {"cpp.vec_isa_ok": True}
    compiled = torch.compile(step, dynamic=True, fullgraph=True, options=options)

    def advised(*arrays: Array) -> None:
        try:
            compiled(*arrays)
        except Exception as error:
            if "InvalidCxxCompiler" not in str(error):
                raise
            raise RuntimeError("torch.compile needs a C++ compiler such as g++") from error

    return advised, step


# training


def parameter(a: Any) -> Array:
    return torch.tensor(a, requires_grad=True)


def give_gradient(x: Array, g: Array) -> None:
    x.grad = g if x.grad is None else x.grad + g  # as backward() adds it up


def _write(x: Array, value: Any) -> None:
    x.copy_(torch.as_tensor(value))


def optimizer_step(
    trainer_fn: Optimizer, params: Sequence, states: Any, hyperparams: Any
) -> Callable[[list], None]:
    take = styles.steps(trainer_fn, params, states, hyperparams, _write)
    return take if trainer_fn is rmsprop else torch.no_grad()(take)  # rmsprop does so itself


def _half_mse(y_hat: Array, y: Array) -> Array:
    return torch.nn.functional.mse_loss(y_hat, reshape(y, y_hat.shape)) / 2


def linreg_step(
    trainer_fn: Optimizer, states: Any, hyperparams: Any, w: Array, b: Array
) -> tuple[Step, Read]:
    styles.check_gradients(torch.is_grad_enabled())
    w, b = parameter(w), parameter(b)
    take = optimizer_step(trainer_fn, [w, b], states, hyperparams)

    def step(X: Array, y: Array) -> None:
        w.grad = b.grad = None  # a reader's optimizer need not clear them
        _half_mse(linreg(X, w, b), y).backward()
        take([w.grad, b.grad])

    return step, lambda: (w.detach().numpy().copy(), b.detach().numpy().copy())


def builtin_step(trainer: Any, hyperparams: Any, w: Array, b: Array) -> tuple[Step, Read]:
    styles.check_gradients(torch.is_grad_enabled())
    # skip_init: the start is given, and the reader's generator stays as it is
    net = torch.nn.utils.skip_init(torch.nn.Linear, *w.shape, dtype=torch.from_numpy(w).dtype)
    with torch.no_grad():
        net.weight.copy_(torch.from_numpy(w.T))
        net.bias.copy_(torch.from_numpy(b))
    make = styles.maker(trainer, torch.optim.Optimizer, "torch.optim.RMSprop")
    optimizer = make(hyperparams, net.parameters())

    def step(X: Array, y: Array) -> None:
        optimizer.zero_grad()
        _half_mse(net(X), y).backward()
        optimizer.step()

    return step, lambda: (net.weight.detach().numpy().T.copy(), net.bias.detach().numpy().copy())


EPS_IN_SQRT = False


def builtin_rmsprop(lr: float, gamma: float, eps: float) -> tuple[Any, dict[str, float]]:
    return torch.optim.RMSprop, {"lr": lr, "alpha": gamma, "eps": eps}


# Fashion-MNIST

CHANNEL_AXIS = 1


def mlp_gradients(params: Sequence, X: Array, y: Array) -> Array:
    W1, b1, W2, b2 = (x.requires_grad_() for x in params)
    loss = torch.nn.functional.cross_entropy(torch.relu(X @ W1 + b1) @ W2 + b2, y)
    loss.backward()
    return loss.detach()


def builtin_update(params: Sequence, gamma: float, eps: float) -> Callable[[float], None]:
    optimizer = torch.optim.RMSprop(params, alpha=gamma, eps=eps)

    def update(lr: float) -> None:
        optimizer.param_groups[0]["lr"] = lr
        optimizer.step()
        optimizer.zero_grad()

    return update


bind(__name__)
