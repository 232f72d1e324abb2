"""The chapter on PyTorch. ``backend`` says what each name must do."""

import sys

from .backend import missing as _missing

try:
    import torch
except ImportError as error:
    raise _missing("torch", error) from error

from . import backend, data, plotting, training
from .backend import as_numpy as numpy
from .backend import bind as _bind
from .data import DATA_HUB, DATA_URL, download
from .plotting import Accumulator, Animator, Timer, plot, plt, set_axes, set_figsize, train_2d
from .plotting import annotate, use_svg_display
from .rmsprop import init_rmsprop_states, leaky_average_weights, rmsprop, rmsprop_2d


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
def apply(update, params, states):
    for x, s in zip(params, states, strict=True):
        new_x, new_s = update(x, s, x.grad)
        x.copy_(new_x)
        s.copy_(new_s)
        x.grad = None  # let go of it; a caller may still hold the buffer


# training


def linreg_step(trainer_fn, states, hyperparams, w, b):
    w, b = torch.tensor(w, requires_grad=True), torch.tensor(b, requires_grad=True)

    def step(X, y):
        squared_loss(linreg(X, w, b), y).mean().backward()
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
        squared_loss(net(X), y).mean().backward()
        optimizer.step()

    return step, lambda: (net.weight.detach().numpy().T.copy(), net.bias.detach().numpy().copy())


EPS_IN_SQRT = False


def builtin_rmsprop(lr, gamma, eps):
    return torch.optim.RMSprop, {"lr": lr, "alpha": gamma, "eps": eps}


# the chapter's functions, on this framework

_this = sys.modules[__name__]
init_rmsprop_states = _bind(init_rmsprop_states, _this)
load_array = _bind(data.load_array, _this)
get_data_ch11 = _bind(data.get_data_ch11, _this)
evaluate_loss = _bind(training.evaluate_loss, _this)
train_ch11 = _bind(training.train_ch11, _this)
train_concise_ch11 = _bind(training.train_concise_ch11, _this)
optimize = _bind(training.optimize, _this)
show_trace_2d = _bind(plotting.show_trace_2d, _this)
