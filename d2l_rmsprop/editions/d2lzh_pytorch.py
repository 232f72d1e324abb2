"""What the optimization chapters of the first edition in PyTorch import as ``d2lzh_pytorch``.

All eight run, from the introduction to Adam.
"""

from .. import torch
from ..backend import Array
from ..backends.namespace import bound
from ..torch import linreg, squared_loss
from . import ch7
from .ch7 import *

__all__ = [
    *ch7.__all__,
    "get_data_ch7",
    "linreg",
    "squared_loss",
    "train_ch7",
    "train_pytorch_ch7",
]

train_ch7 = bound(ch7.train_ch7, torch)
train_pytorch_ch7 = bound(ch7.train_concise_ch7, torch, "train_pytorch_ch7")


def get_data_ch7() -> tuple[Array, Array]:
    """Return (features, labels) of the airfoil table's first 1500 rows, whitened, as float32.

    Where the table cannot be had, a warning says so once and its stand-in takes its place.
    """
    features, labels = ch7.airfoil()
    return torch.from_numpy(features[:1500]), torch.from_numpy(labels[:1500])
