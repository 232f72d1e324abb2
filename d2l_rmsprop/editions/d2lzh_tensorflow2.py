"""What the optimization chapters of the first edition in TensorFlow 2 import as
``d2lzh_tensorflow2``.

All eight run, from the introduction to Adam. Optimizers take
``(params, states, hyperparams, grads)``, and ``train_tensorflow2_ch7`` an instance of a Keras
optimizer, whose own hyperparameters count.
"""

import math
import types
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from .. import tensorflow
from ..backend import Array, Read, Step, as_numpy
from ..backends.namespace import bound
from ..tensorflow import linreg, squared_loss, tf
from . import ch7
from .ch7 import *

__all__ = [
    *ch7.__all__,
    "get_data_ch7",
    "linreg",
    "squared_loss",
    "train_ch7",
    "train_tensorflow2_ch7",
]


def get_data_ch7() -> tuple[Array, Array]:
    """Return (features, labels) of the airfoil table's first 1500 rows, whitened, as float32.

    Where the table cannot be had, a warning says so once and its stand-in takes its place.
    """
    features, labels = ch7.airfoil()
    return tensorflow.from_numpy(features[:1500]), tensorflow.from_numpy(labels[:1500])


def data_iter(  # type: ignore[no-redef]
    batch_size: int, features: Array, labels: Array
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield minibatches of (features, labels), shuffled by Python's ``random``, as NumPy arrays."""
    return ch7.data_iter(batch_size, as_numpy(features), as_numpy(labels))


def _builtin_step(
    trainer: Any, hyperparams: Any, w: np.ndarray, b: np.ndarray
) -> tuple[Step, Read]:
    if not isinstance(trainer, tf.keras.optimizers.Optimizer):
        raise TypeError(
            f"trainer is {trainer!r}; give an instance of a Keras optimizer, such as "
            "tf.keras.optimizers.RMSprop(learning_rate=0.01, rho=0.9)."
        )
    config = trainer.get_config()
    for name, value in (hyperparams or {}).items():
        own = config.get("learning_rate" if name == "lr" else name)
        if isinstance(own, float) and not math.isclose(own, value, rel_tol=1e-6):
            warnings.warn(
                f"hyperparams has {name} = {value}, but the optimizer is an instance that has "
                f"{own:g} already, and that counts; give the instance the other value.",
                stacklevel=2,
            )
    # one of our own: an instance serves one model only
    return tensorflow.builtin_step(lambda: type(trainer).from_config(config), {}, w, b)


_framework = types.SimpleNamespace(
    numpy=as_numpy,
    split=tensorflow.split,
    native=tensorflow.native,
    linreg_step=tensorflow.linreg_step,
    builtin_step=_builtin_step,
)
train_ch7 = bound(ch7.train_ch7, _framework)
train_tensorflow2_ch7 = bound(ch7.train_concise_ch7, _framework, "train_tensorflow2_ch7")
