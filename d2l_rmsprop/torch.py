"""The chapter on PyTorch. ``backend`` says what each name must do."""

import functools
import sys
import types
import warnings
from collections import defaultdict

from .backend import missing as _missing

try:
    import torch
except ImportError as error:
    raise _missing("torch", error) from error

from . import backend, compiling, data, fashion_mnist, plotting, training
from .backend import as_numpy as numpy
from .backend import bind as _bind
from .compiling import compile
from .data import DATA_HUB, DATA_URL, download
from .plotting import Accumulator, Animator, Timer, plot, plt, set_axes, set_figsize, train_2d
from .plotting import annotate, use_svg_display
from .rmsprop import init_rmsprop_states, leaky_average_weights, rmsprop, rmsprop_2d
from .sweep import sweep


def version():
    return torch.__version__


# arrays

float32, float64, int32 = torch.float32, torch.float64, torch.int32
zeros, ones, tensor, normal = torch.zeros, torch.ones, torch.tensor, torch.normal
arange, linspace, meshgrid = torch.arange, torch.linspace, torch.meshgrid
stack, matmul = torch.stack, torch.matmul
square, sqrt, exp, log, abs = torch.square, torch.sqrt, torch.exp, torch.log, torch.abs
sin, cos, tanh, sinh, cosh = torch.sin, torch.cos, torch.tanh, torch.sinh, torch.cosh
from_numpy = torch.from_numpy


def split(a, batch_size):
    return data.split(from_numpy(a), batch_size)


def native(a):
    return a


def reshape(a, *shape):
    return a.reshape(*shape)


def size(a):
    return a.numel()


def reduce_sum(a, *args, **kwargs):
    return a.sum(*args, **kwargs)


def reduce_mean(a, *args, **kwargs):
    return a.mean(*args, **kwargs)


def linreg(X, w, b):
    """Return X w + b: shapes (n, d), (d, 1) and (1,) give (n, 1)."""
    return matmul(X, w) + b


def squared_loss(y_hat, y):
    """Return half the squared error of each example, in the shape of y_hat."""
    return (y_hat - reshape(y, y_hat.shape)) ** 2 / 2


# parameters, gradients and the change in place

TYPES = MUTABLE = (torch.Tensor,)


def variable(a):
    return a


@torch.no_grad()
def eager_apply(update, params, states, lr):
    for x, s in zip(params, states, strict=True):
        new_x, new_s = update(x, s, x.grad, lr)
        x.copy_(new_x)
        s.copy_(new_s)
        x.grad = None  # let go of it; a caller may still hold the buffer


COMPILER = "torch.compile"
SMALL = 10_000  # elements; fewer cost more to call the compiled step for than to gather
GATHERED = 2**17  # elements in one call, about, so that they stay in the cache


@torch.no_grad()
def compiled_apply(update, params, states, lr):
    if sum(x.numel() for x in params) < SMALL:  # nothing to gain
        return eager_apply(update, params, states, lr)
    step, lr = _compile(update), torch.tensor(lr, dtype=torch.float64)
    small, elements = defaultdict(list), 0
    for x, s in zip(params, states, strict=True):
        g, x.grad = x.grad, None  # let go of it; a caller may still hold the buffer
        torch.autograd.graph.increment_version(x)  # so that autograd sees the change
        if not (x.is_contiguous() and s.is_contiguous() and g.is_contiguous()):
            step(x.data, s.data, g.data, lr)
            continue
        # one compilation for every shape; .data, since it tells views of different arrays apart
        arrays = x.view(-1).data, s.view(-1).data, g.view(-1).data
        if x.numel() >= SMALL:
            step(*arrays, lr)
        else:
            small[elements // GATHERED, x.dtype, s.dtype, g.dtype, x.device].append(arrays)
            elements += x.numel()
    for alike in small.values():
        xs, ss, gs = zip(*alike, strict=True)
        x, s = torch.cat(xs), torch.cat(ss)
        step(x, s, torch.cat(gs), lr)
        sizes = [a.numel() for a in xs]
        torch._foreach_copy_(xs, x.split(sizes))
        torch._foreach_copy_(ss, s.split(sizes))


@functools.lru_cache(64)
def _compile(update):
    def step(x, s, g, lr):
        new_x, new_s = update(x, s, g, lr)
        x.copy_(new_x)
        s.copy_(new_s)

    # a code object of its own: torch stops compiling one after 8 kinds of arguments
    step = types.FunctionType(step.__code__.replace(), globals(), closure=step.__closure__)
    # as /proc/cpuinfo says: to try each instruction set takes as long again as the compilation
    compiled = torch.compile(step, dynamic=True, options={"cpp.vec_isa_ok": True})

    def run(*arrays):
        nonlocal compiled
        try:
            compiled(*arrays)
        except RuntimeError as error:
            if compiled is step:
                raise
            warnings.warn(
                "torch.compile does not work here, so the optimizer runs uncompiled; it needs a "
                f"C++ compiler such as g++ ({str(error).strip().splitlines()[0]}).",
                stacklevel=2,
            )
            compiled = step
            step(*arrays)

    return run


# training


def _half_mse(y_hat, y):
    return torch.nn.functional.mse_loss(y_hat, reshape(y, y_hat.shape)) / 2


def linreg_step(trainer_fn, states, hyperparams, w, b):
    w, b = torch.tensor(w, requires_grad=True), torch.tensor(b, requires_grad=True)

    def step(X, y):
        _half_mse(linreg(X, w, b), y).backward()
        trainer_fn([w, b], states, hyperparams)

    return step, lambda: (w.detach().numpy().copy(), b.detach().numpy().copy())


def builtin_step(trainer, hyperparams, w, b):
    net = torch.nn.Linear(*w.shape, dtype=torch.from_numpy(w).dtype)
    with torch.no_grad():
        net.weight.copy_(torch.from_numpy(w.T))
        net.bias.copy_(torch.from_numpy(b))
    optimizer = trainer(net.parameters(), **hyperparams)

    def step(X, y):
        optimizer.zero_grad()
        _half_mse(net(X), y).backward()
        optimizer.step()

    return step, lambda: (net.weight.detach().numpy().T.copy(), net.bias.detach().numpy().copy())


EPS_IN_SQRT = False


def builtin_rmsprop(lr, gamma, eps):
    return torch.optim.RMSprop, {"lr": lr, "alpha": gamma, "eps": eps}


# Fashion-MNIST

CHANNEL_AXIS = 1


def mlp_gradients(params, X, y):
    W1, b1, W2, b2 = (x.requires_grad_() for x in params)
    loss = torch.nn.functional.cross_entropy(torch.relu(X @ W1 + b1) @ W2 + b2, y)
    loss.backward()
    return loss.detach()


def builtin_update(params, gamma, eps):
    optimizer = torch.optim.RMSprop(params, alpha=gamma, eps=eps)

    def update(lr):
        optimizer.param_groups[0]["lr"] = lr
        optimizer.step()
        optimizer.zero_grad()

    return update


# the chapter's functions, on this framework

_this = sys.modules[__name__]
apply = _bind(compiling.apply, _this)
init_rmsprop_states = _bind(init_rmsprop_states, _this)
load_array = _bind(data.load_array, _this)
get_data_ch11 = _bind(data.get_data_ch11, _this)
evaluate_loss = _bind(training.evaluate_loss, _this)
train_ch11 = _bind(training.train_ch11, _this)
train_concise_ch11 = _bind(training.train_concise_ch11, _this)
optimize = _bind(training.optimize, _this)
load_data_fashion_mnist = _bind(fashion_mnist.load_data_fashion_mnist, _this)
train_mlp = _bind(fashion_mnist.train_mlp, _this)
show_trace_2d = _bind(plotting.show_trace_2d, _this)
