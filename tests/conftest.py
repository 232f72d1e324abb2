import contextlib
import importlib
import os
import sys
from pathlib import Path

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest

from d2l_rmsprop.backend import BACKENDS

pytest_plugins = ["browser"]  # fixtures of tests/site; a second conftest would hide this one

with contextlib.suppress(ImportError):  # before any test imports TensorFlow
    import d2l_rmsprop.paddle  # noqa: F401

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

SHARED = Path(__file__).parents[2] / "shared"  # the source chapters and the real airfoil table
FRAMEWORKS = BACKENDS


def framework(name):
    """Return a framework's module, or skip: tests say which frameworks they did without."""
    try:
        return importlib.import_module(f"d2l_rmsprop.{name}")
    except ImportError as error:
        if os.environ.get("D2L_RMSPROP_REQUIRE") in (name, "all"):
            raise  # this environment was made for it
        pytest.skip(str(error))


def no_mxnet_here():
    return sys.version_info >= (3, 13) or np.lib.NumpyVersion(np.__version__) >= "2.0.0"


@pytest.fixture(params=FRAMEWORKS)
def d2l(request):
    """Each framework in turn, as a chapter imports it."""
    return framework(request.param)


@pytest.fixture(autouse=True)
def as_before():
    path = list(sys.path)
    with matplotlib.rc_context():
        yield
    plt.close("all")
    sys.path[:] = path  # as the first edition's notebooks append to it


@pytest.fixture
def airfoil_folder(monkeypatch):
    folder = SHARED / "data"
    if not (folder / "airfoil_self_noise.dat").is_file():
        pytest.skip("the real airfoil table is not in ../shared/data")
    monkeypatch.setenv("D2L_RMSPROP_DATA", str(folder))
    return folder


def parameter(d2l, value, grad=None):
    """Return a parameter of this framework with ``value`` and, where given, a gradient."""
    name = d2l.__name__.rpartition(".")[2]
    if name == "torch":
        x = d2l.torch.tensor(value, requires_grad=True)
        x.grad = None if grad is None else d2l.torch.tensor(grad)
    elif name == "paddle":
        x = d2l.paddle.to_tensor(value, stop_gradient=False)
        x.grad = None if grad is None else d2l.paddle.to_tensor(grad)
    elif name == "mxnet":
        x = d2l.np.array(value, dtype=value.dtype)
        if grad is not None:
            x.attach_grad()
            x.grad[()] = d2l.np.array(grad, dtype=grad.dtype)
    else:
        x = d2l.tf.Variable(value) if name == "tensorflow" else d2l.Variable(value)
        x.grad = None if grad is None else d2l.from_numpy(grad)
    return x


def state(d2l, value):
    name = d2l.__name__.rpartition(".")[2]
    return (
        d2l.np.array(value, dtype=value.dtype)
        if name == "mxnet"
        else d2l.variable(d2l.from_numpy(value.copy()))
    )


@contextlib.contextmanager
def precision(d2l, dtype):
    """JAX has float64 only where it is switched on; the others always."""
    jax = getattr(d2l, "jax", None)
    if jax is None or dtype != "float64":
        yield
        return
    jax.config.update("jax_enable_x64", True)
    try:
        yield
    finally:
        jax.config.update("jax_enable_x64", False)
