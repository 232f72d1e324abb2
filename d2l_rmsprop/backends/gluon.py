"""Gluon's own layer and optimizers, on MXNet's NumPy arrays and on the older ``nd`` alike."""

from collections.abc import Callable
from typing import Any

import numpy as np

from ..backend import Array, Read, Step, importing
from ..lesson import styles
from . import mxnet_numpy  # noqa: F401 - before MXNet itself

with importing("mxnet"):
    from mxnet import autograd, gluon, init
    from mxnet.optimizer import Optimizer


def dense_step(
    from_numpy: Callable[[np.ndarray], Array],
    trainer: Any,
    hyperparams: Any,
    w: np.ndarray,
    b: np.ndarray,
) -> tuple[Step, Read]:
    """Return step and read of a layer that starts at w and b; see ``backend.builtin_step``."""
    net = gluon.nn.Dense(1, in_units=len(w), dtype=w.dtype.name)
    net.initialize(init.Zero())  # the start is given, and the reader's generator stays as it is
    net.weight.set_data(from_numpy(w.T))
    net.bias.set_data(from_numpy(b))
    optimizer = _optimizer(trainer, hyperparams)
    return net_step(net, gluon.Trainer(net.collect_params(), optimizer, kvstore=None)), weights(net)


def net_step(net: Any, trainer: Any) -> Step:
    """Return step(X, y) of a network and its ``gluon.Trainer``, on half the mean squared error."""
    loss_fn = gluon.loss.L2Loss()

    def step(X: Array, y: Array) -> None:
        with autograd.record():
            loss = loss_fn(net(X), y)
        loss.backward()
        trainer.step(len(X))  # divides the summed gradient by the size of the minibatch

    return step


def weights(dense: Any) -> Read:
    """Return read() of a Dense layer of one output: its weights, of shapes (d, 1) and (1,)."""
    return lambda: (dense.weight.data().asnumpy().T, dense.bias.data().asnumpy())


def _optimizer(trainer: Any, hyperparams: Any) -> Any:
    known = Optimizer.opt_registry
    if not isinstance(trainer, str) or trainer.lower() not in known:
        raise TypeError(
            f"trainer is {styles.described(trainer)}; it must be the name of one of MXNet's "
            f"optimizers: {', '.join(sorted(known))}."
        )
    optimizer = styles.maker(known[trainer.lower()], Optimizer, "'rmsprop'")(hyperparams)
    create = optimizer.create_state  # float32 in some optimizers, whatever the weight is
    optimizer.create_state = lambda index, weight: _cast(create(index, weight), weight.dtype)
    return optimizer


def _cast(state: Any, dtype: Any) -> Any:
    if isinstance(state, (list, tuple)):
        return type(state)(_cast(s, dtype) for s in state)
    return state if state is None else state.astype(dtype)
