"""RMSProp from *Dive into Deep Learning*, one implementation for six frameworks.

A chapter imports the framework that it teaches: ``from d2l_rmsprop import torch as d2l`` (or
``numpy``, ``paddle``, ``tensorflow``, ``mxnet``, ``jax``). Importing this package imports none.
"""

from typing import Any

from .backend import BACKENDS, load
from .rmsprop import leaky_average_weights, rmsprop, rmsprop_2d

__version__ = "0.1.0"
__all__ = ["leaky_average_weights", "rmsprop", "rmsprop_2d"]


def __getattr__(name: str) -> Any:
    """Return a framework, for ``from d2l_rmsprop import torch``; ImportError says what is amiss."""
    if name in BACKENDS:
        return load(name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
