"""What the first edition's optimization chapters import as ``d2lzh``, on MXNet's ``nd`` arrays.

All eight run, from the introduction to Adam.
"""

from ..backend import Array
from ..backends.namespace import bound
from . import ch7, mxnet_nd
from .ch7 import *
from .mxnet_nd import legacy, linreg, squared_loss

__all__ = [
    *ch7.__all__,
    "get_data_ch7",
    "linreg",
    "squared_loss",
    "train_ch7",
    "train_gluon_ch7",
]

train_ch7 = legacy(bound(ch7.train_ch7, mxnet_nd))
train_gluon_ch7 = legacy(bound(ch7.train_concise_ch7, mxnet_nd, "train_gluon_ch7"))


def get_data_ch7() -> tuple[Array, Array]:
    """Return (features, labels) of the airfoil table, whitened, as float32 NDArrays.

    They have all its 1503 rows, and 5 features. Where the table cannot be had, a warning says so
    once and its stand-in of 1500 rows takes its place.
    """
    features, labels = ch7.airfoil()
    return mxnet_nd.from_numpy(features), mxnet_nd.from_numpy(labels)
