"""What the preview's chapters of late 2018 import as ``gluonbook``, on MXNet's ``nd`` arrays.

The optimization chapters run, from scratch and with Gluon, and those of the months after that
already call ``train_ch7``.
"""

from . import d2lzh
from .d2lzh import *
from .mxnet_nd import optimize

__all__ = [*d2lzh.__all__, "optimize"]
