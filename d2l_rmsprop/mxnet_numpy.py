"""Puts back numpy.bool, which MXNet 1.9.1 reads and NumPy 1.24 removed. Import before mxnet."""

import numpy

if int(numpy.__version__.partition(".")[0]) >= 2:
    raise ImportError(
        f"MXNet 1.9.1 needs NumPy below 2 and found {numpy.__version__}; "
        "install both with: python -m pip install 'd2l-rmsprop[mxnet]'",
        name="numpy",
    )
if "bool" not in vars(numpy):  # hasattr would warn
    numpy.bool = bool  # type: ignore[attr-defined]
