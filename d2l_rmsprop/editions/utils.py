"""What the preview's chapters of 2017 and 2018 import as ``utils``, on MXNet's ``nd`` arrays.

The optimization chapters run, from scratch and with Gluon: each has its loop, or calls
``optimize``.
"""

from collections.abc import Iterator
from typing import Any

from ..backend import Array
from ..lesson import data
from . import mxnet_nd
from .ch7 import semilogy
from .mxnet_nd import linreg, squared_loss

__all__ = ["data_iter", "linreg", "optimize", "semilogy", "set_fig_size", "squared_loss"]


def data_iter(
    batch_size: int, num_examples: int, random: Any, X: Array, y: Array
) -> Iterator[tuple[int, Array, Array]]:
    """Yield (number of the minibatch from 0, features, labels), shuffled by Python's ``random``.

    X has shape (num_examples, d) and y (num_examples,); the last minibatch may be smaller.
    """
    order = list(range(num_examples))
    random.shuffle(order)
    for number, rows in enumerate(data.split(order, batch_size)):
        yield number, X[rows], y[rows]


def set_fig_size(mpl: Any, figsize: tuple[float, float] = (3.5, 2.5)) -> None:
    """Set the size in inches of the pictures to come; ``mpl`` is Matplotlib."""
    mpl.rcParams["figure.figsize"] = figsize


def optimize(
    batch_size: int,
    trainer: Any,
    num_epochs: int,
    decay_epoch: int | None,
    log_interval: int,
    X: Array,
    y: Array,
    net: Any,
) -> None:
    """Train a Gluon network, as ``gluonbook.optimize`` does."""
    mxnet_nd.optimize(batch_size, trainer, num_epochs, decay_epoch, log_interval, X, y, net)
