"""The chapter on NumPy, the small default. ``backend`` says what each name must do."""

import sys

import numpy as np

from . import backend, compiling, data, fashion_mnist, plotting, training
from .backend import as_numpy as numpy
from .backend import bind as _bind
from .blocks import apply_in_blocks
from .compiling import compile
from .data import DATA_HUB, DATA_URL, download
from .plotting import Accumulator, Animator, Timer, plot, plt, set_axes, set_figsize, train_2d
from .plotting import annotate, use_svg_display
from .rmsprop import init_rmsprop_states, leaky_average_weights, rmsprop, rmsprop_2d
from .sweep import sweep


def version():
    return np.__version__


# arrays: float32 unless said otherwise, as the other frameworks make them


def zeros(shape, dtype=np.float32):
    return np.zeros(shape, dtype)


def ones(shape, dtype=np.float32):
    return np.ones(shape, dtype)


def tensor(a, dtype=None):
    a = np.array(a, dtype)
    return a.astype(np.float32) if dtype is None and a.dtype == np.float64 else a


def normal(loc=0.0, scale=1.0, size=None):
    return np.float32(np.random.normal(loc, scale, size))


float32, float64, int32 = np.float32, np.float64, np.int32
arange, linspace, meshgrid, stack, matmul = np.arange, np.linspace, np.meshgrid, np.stack, np.matmul
square, sqrt, exp, log, abs = np.square, np.sqrt, np.exp, np.log, np.abs
sin, cos, tanh, sinh, cosh = np.sin, np.cos, np.tanh, np.sinh, np.cosh
reshape, size, reduce_sum, reduce_mean = np.reshape, np.size, np.sum, np.mean
from_numpy, split = np.asarray, data.split


def native(a):
    return a


def linreg(X, w, b):
    """Return X w + b: shapes (n, d), (d, 1) and (1,) give (n, 1)."""
    return matmul(X, w) + b


def squared_loss(y_hat, y):
    """Return half the squared error of each example, in the shape of y_hat."""
    return (y_hat - reshape(y, y_hat.shape)) ** 2 / 2


# parameters, gradients and the change in place


class Variable(backend.Variable):
    __doc__ = backend.Variable.__doc__

    def __init__(self, value):
        super().__init__(np.array(value))

    def __setitem__(self, index, value):
        self.value[index] = value


TYPES, MUTABLE = (Variable,), (Variable, np.ndarray)
variable = Variable


def eager_apply(update, params, states, lr):
    for variable, s in zip(params, states, strict=True):
        x, s = variable.value, getattr(s, "value", s)
        x[...], s[...] = update(x, s, variable.grad, lr)
        variable.grad = None


COMPILER = None


def compiled_apply(update, params, states, lr):
    for x, s in zip(params, states, strict=True):
        apply_in_blocks(update, x.value, getattr(s, "value", s), np.asarray(x.grad), lr)
        x.grad = None


# training


def linreg_step(trainer_fn, states, hyperparams, w, b):
    w, b = Variable(w), Variable(b)

    def step(X, y):
        error = linreg(X, w.value, b.value) - reshape(y, (-1, 1))
        w.grad, b.grad = X.T @ error / len(X), error.mean(axis=0)
        trainer_fn([w, b], states, hyperparams)

    return step, lambda: (w.value.copy(), b.value.copy())


def builtin_step(trainer, hyperparams, w, b):
    raise NotImplementedError(
        "NumPy has no built-in optimizer; use train_ch11 here, or train_concise_ch11 of another "
        "framework."
    )


EPS_IN_SQRT = None


def builtin_rmsprop(lr, gamma, eps):
    return None


# Fashion-MNIST

CHANNEL_AXIS = 1


def mlp_gradients(params, X, y):
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


def builtin_update(params, gamma, eps):
    raise NotImplementedError("NumPy has no built-in optimizer; use builtin=False here.")


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
