"""MXNet's ``nd`` arrays as the training loop takes a framework; nothing in MXNet is switched.

``d2l_rmsprop.mxnet`` would not do: it needs MXNet's NumPy arrays, which are switched on for the
whole process, and then the older editions' code no longer runs. Where they are on already, they
are off while a function of ``legacy`` runs.
"""

import functools
import itertools
import sys
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, TypeVar

import numpy as np

from ..backend import Array, Optimizer, Read, Step, check_count, importing
from ..backend import as_numpy as numpy
from ..backends import gluon
from ..lesson import data, styles, training

with importing("mxnet"):
    from mxnet import autograd, nd
    from mxnet.ndarray.ndarray import array  # nd.array warns of what SciPy will remove
    from mxnet.util import np_array, np_shape

P = ParamSpec("P")
R = TypeVar("R")


def legacy(function: Callable[P, R]) -> Callable[P, R]:
    """Return the function, run without MXNet's NumPy arrays."""

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        with np_array(False), np_shape(False):
            return function(*args, **kwargs)

    return run


def from_numpy(a: np.ndarray) -> Array:
    return array(a, dtype=a.dtype)


native = data.as_is


def split(a: np.ndarray, batch_size: int) -> Sequence[Array]:
    return data.split(from_numpy(a), batch_size)


def linreg(X: Array, w: Array, b: Array) -> Array:
    """Return X w + b: shapes (n, d), (d, 1) and (1,) give (n, 1)."""
    return nd.dot(X, w) + b


def squared_loss(y_hat: Array, y: Array) -> Array:
    """Return half the squared error of each example, in the shape of y_hat."""
    return (y_hat - y.reshape(y_hat.shape)) ** 2 / 2


variable = data.as_is


def parameter(a: np.ndarray) -> Array:
    x = from_numpy(a)
    x.attach_grad()
    return x


def give_gradient(x: Array, g: Array) -> None:
    g.copyto(x.grad)


def optimizer_step(
    trainer_fn: Optimizer, params: Sequence, states: Any, hyperparams: Any
) -> Callable[[list], None]:
    return legacy(styles.steps(trainer_fn, params, states, hyperparams, _write))


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

    return step, lambda: (numpy(w), numpy(b))


def _write(x: Array, value: Array) -> None:
    x[:] = value


def builtin_step(trainer: str, hyperparams: Any, w: np.ndarray, b: np.ndarray) -> tuple[Step, Read]:
    return gluon.dense_step(from_numpy, trainer, hyperparams, w, b)


def optimize(
    batch_size: int,
    trainer: Any,
    num_epochs: int,
    decay_epoch: int | None,
    log_interval: int,
    features: Array,
    labels: Array,
    net: Any,
) -> None:
    """Train a Gluon network of one Dense layer, draw its loss on a log axis and print its weights.

    ``trainer`` is a ``gluon.Trainer``; after ``decay_epoch`` epochs, unless that is None, each
    epoch begins with a learning rate of a tenth. features has shape (n, d) and labels (n,). The
    loss, half the mean squared error, is recorded at the start and every ``log_interval`` examples.
    """
    check_count(log_interval=log_interval)
    net(features[:1])  # now the weights have their shapes
    step = gluon.net_step(net, trainer)
    batches = data.load_array(sys.modules[__name__], (features, labels), batch_size)
    taken = itertools.count()

    def decaying_step(X: Array, y: Array) -> None:
        epoch, batch = divmod(next(taken), len(batches))
        if decay_epoch and epoch >= decay_epoch and batch == 0:
            trainer.set_learning_rate(trainer.learning_rate * 0.1)
        step(X, y)

    history = training.fit_and_draw(
        lambda w, b: (decaying_step, gluon.weights(net[0])),
        batches,
        num_epochs,
        {"yscale": "log"},
        record_every=log_interval,
        record_start=True,
    )
    print(f"w: {history.w.reshape(-1)}, b: {history.b[0]:.4f}, loss: {history.losses[-1]:.4e}")
