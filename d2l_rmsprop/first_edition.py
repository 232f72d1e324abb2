"""What the first edition's chapters import as ``utils``, on MXNet's ``nd`` arrays."""

from .backend import importing
from .backends import mxnet_numpy  # noqa: F401 - before mxnet itself

with importing("mxnet"):
    from mxnet import nd


def linreg(X, w, b):
    """Return X w + b: shapes (n, d), (d, 1) and (1,) give (n, 1)."""
    return nd.dot(X, w) + b


def squared_loss(yhat, y):
    """Return half the squared error of each example, in the shape of yhat."""
    return (yhat - y.reshape(yhat.shape)) ** 2 / 2


def data_iter(batch_size, num_examples, random, X, y):
    """Yield (number of the minibatch from 0, features, labels), shuffled by Python's ``random``.

    X has shape (num_examples, d) and y (num_examples,); the last minibatch may be smaller.
    """
    order = list(range(num_examples))
    random.shuffle(order)
    for number, start in enumerate(range(0, num_examples, batch_size)):
        rows = nd.array(order[start : start + batch_size])
        yield number, X.take(rows), y.take(rows)


def set_fig_size(mpl, figsize=(3.5, 2.5)):
    """Set the size in inches of the pictures to come; ``mpl`` is Matplotlib."""
    mpl.rcParams["figure.figsize"] = figsize
