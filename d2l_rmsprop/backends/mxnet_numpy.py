"""Puts back numpy.bool, which MXNet 1.9.1 reads and NumPy 1.24 removed. Import before mxnet."""

import sys

import numpy

from ..backend import FrameworkError

if sys.version_info >= (3, 13):
    raise FrameworkError(
        "MXNet 1.9.1 runs on Python 3.10 to 3.12, and this is "
        f"{sys.version_info.major}.{sys.version_info.minor}; make an environment with one of them.",
        name="mxnet",
    )
if int(numpy.__version__.partition(".")[0]) >= 2:  # an older one here might break what needs it
    raise FrameworkError(
        f"MXNet 1.9.1 needs NumPy below 2 and found {numpy.__version__}; make an environment for "
        "it, with Python 3.10 to 3.12, and install this package with [mxnet] there.",
        name="mxnet",
    )
if "bool" not in vars(numpy):  # hasattr would warn
    numpy.bool = bool  # type: ignore[attr-defined]
