"""The chapter on MXNet. ``backend`` says what each name must do."""

import ctypes
import math
import sys
import warnings

import numpy as onp

from . import mxnet_numpy
from .backend import missing as _missing

try:
    from mxnet import __version__, autograd, gluon, np, npx, optimizer
    from mxnet.base import _LIB, check_call
except ImportError as error:
    raise _missing("mxnet", error) from error

npx.set_np()

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
    return __version__


# arrays

float32, float64, int32 = np.float32, np.float64, np.int32
zeros, ones, tensor, normal = np.zeros, np.ones, np.array, np.random.normal
arange, linspace, meshgrid, stack, matmul = np.arange, np.linspace, np.meshgrid, np.stack, np.dot
# NumPy's hand an MXNet array on to MXNet's own, and take the blocks of a compiled step as well
square, sqrt, exp, log, abs = onp.square, onp.sqrt, onp.exp, onp.log, onp.abs
sin, cos, tanh, sinh, cosh = onp.sin, onp.cos, onp.tanh, onp.sinh, onp.cosh
from_numpy = np.array


def split(a, batch_size):
    return data.split(from_numpy(a), batch_size)


def native(a):
    return a


def reshape(a, *shape):
    return a.reshape(*shape)


def size(a):
    return a.size


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

TYPES = MUTABLE = (np.ndarray,)


def variable(a):
    return a


def eager_apply(update, params, states, lr):
    with autograd.pause():
        for x, s in zip(params, states, strict=True):
            _write((x, s), update(x, s, x.grad, lr))
            _use_up(x)


def _write(old, new):
    for a, b in zip(old, new, strict=True):
        if a is not b:  # an update may return its s as it is
            b.copyto(a)  # a[()] = b takes seven times as long


def _use_up(x):
    """Zero the gradient, for grad_req="add"; its buffer belongs to x and cannot be let go."""
    np.full_like(x.grad, 0, out=x.grad)


COMPILER = None


def compiled_apply(update, params, states, lr):
    """Take the step in NumPy's blocks, on the memory of MXNet's arrays."""
    npx.waitall()  # MXNet runs behind: it may have yet to write or read these arrays
    for x, s in zip(params, states, strict=True):
        arrays = x, s, x.grad
        if not all(a.ctx.device_type.startswith("cpu") for a in arrays):
            eager_apply(update, [x], [s], lr)
            continue
        views = [_memory(a) for a in arrays]
        try:
            apply_in_blocks(update, *views, lr)
            views[2][...] = 0
        except TypeError as error:  # nothing is written yet
            warnings.warn(
                f"an update that calls MXNet itself runs as it is ({error}); "
                "use d2l's functions, such as d2l.sqrt, or NumPy's.",
                stacklevel=4,
            )
            eager_apply(update, [x], [s], lr)


def _memory(a):
    """Return NumPy's view of an array on the CPU."""
    address, shape, dtype = ctypes.c_void_p(), a.shape, onp.dtype(a.dtype)
    check_call(_LIB.MXNDArrayGetData(a.handle, ctypes.byref(address)))
    memory = (ctypes.c_byte * (math.prod(shape) * dtype.itemsize)).from_address(address.value or 0)
    return onp.ndarray(shape, dtype, memory)


# training


def linreg_step(trainer_fn, states, hyperparams, w, b):
    w, b = np.array(w), np.array(b)
    w.attach_grad()
    b.attach_grad()

    def step(X, y):
        with autograd.record():
            loss = squared_loss(linreg(X, w, b), y).mean()
        loss.backward()
        trainer_fn([w, b], states, hyperparams)

    return step, lambda: (w.asnumpy(), b.asnumpy())


def builtin_step(trainer, hyperparams, w, b):
    net = gluon.nn.Dense(1, in_units=len(w), dtype=w.dtype.name)
    net.initialize()
    net.weight.set_data(np.array(w.T))
    net.bias.set_data(np.array(b))
    loss_fn = gluon.loss.L2Loss()
    optimizer = gluon.Trainer(net.collect_params(), trainer, hyperparams, kvstore=None)

    def step(X, y):
        with autograd.record():
            loss = loss_fn(net(X), y)
        loss.backward()
        optimizer.step(len(X))  # divides the summed gradient by the size of the minibatch

    return step, lambda: (net.weight.data().asnumpy().T, net.bias.data().asnumpy())


EPS_IN_SQRT = True


def builtin_rmsprop(lr, gamma, eps):
    return "rmsprop", {"learning_rate": lr, "gamma1": gamma, "epsilon": eps}


# Fashion-MNIST

CHANNEL_AXIS = 1


def mlp_gradients(params, X, y):
    W1, b1, W2, b2 = params
    for x in params:
        if x.grad is None:
            x.attach_grad()
    with autograd.record():
        scores = np.dot(npx.relu(np.dot(X, W1) + b1), W2) + b2
        loss = gluon.loss.SoftmaxCrossEntropyLoss()(scores, y).mean()
    loss.backward()
    return loss


def builtin_update(params, gamma, eps):
    rmsprop = optimizer.create("rmsprop", gamma1=gamma, epsilon=eps)
    updater = optimizer.get_updater(rmsprop)

    def update(lr):
        rmsprop.set_learning_rate(lr)
        for i, x in enumerate(params):
            updater(i, x.grad, x)

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
