"""RMSProp from *Dive into Deep Learning*, one implementation for five frameworks.

A chapter imports the framework that it teaches: ``from d2l_rmsprop import torch as d2l``
(or ``numpy``, ``tensorflow``, ``mxnet``, ``jax``). Importing this package imports none of them.
"""

from .rmsprop import leaky_average_weights, rmsprop, rmsprop_2d

__version__ = "0.1.0"
__all__ = ["leaky_average_weights", "rmsprop", "rmsprop_2d"]
