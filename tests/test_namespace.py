"""What `from d2l_rmsprop import torch as d2l` offers, and what it imports."""

import inspect
import subprocess
import sys

import numpy as np
import pytest
from conftest import FRAMEWORKS, framework, no_mxnet_here

NAMES = [
    "zeros",
    "ones",
    "arange",
    "tensor",
    "normal",
    "numpy",
    "square",
    "sqrt",
    "reshape",
    "reduce_sum",
    "reduce_mean",
    "size",
    "linreg",
    "squared_loss",
    "load_array",
    "evaluate_loss",
    "Timer",
    "Accumulator",
    "Animator",
    "plt",
    "plot",
    "set_figsize",
    "annotate",
    "set_axes",
    "train_2d",
    "show_trace_2d",
    "get_data_ch11",
    "train_ch11",
    "train_concise_ch11",
    "DATA_HUB",
    "DATA_URL",
    "download",
    "rmsprop",
    "init_rmsprop_states",
    "rmsprop_2d",
    "leaky_average_weights",
    "optimize",
    "trace_linreg",
]
ARGUMENTS = {
    "train_ch11": "trainer_fn states hyperparams data_iter feature_dim num_epochs",
    "train_concise_ch11": "trainer hyperparams data_iter num_epochs",
    "get_data_ch11": "batch_size n",
    "load_array": "data_arrays batch_size is_train",
    "evaluate_loss": "net data_iter loss",
    "train_2d": "trainer steps f_grad",
    "show_trace_2d": "f results",
    "optimize": "batch_size lr gamma num_epochs log_interval",
    "trace_linreg": "update lr data_iter num_epochs",
    "init_rmsprop_states": "feature_dim",
    "set_axes": "axes xlabel ylabel xlim ylim xscale yscale legend",
    "plot": "X Y xlabel ylabel legend xlim ylim xscale yscale fmts figsize axes",
    "Animator": "xlabel ylabel legend xlim ylim xscale yscale fmts nrows ncols figsize",
    "linreg": "X w b",
    "squared_loss": "y_hat y",
    "download": "url folder sha1_hash",
}


def test_every_name_is_there_and_documented(d2l):
    assert [name for name in NAMES if not hasattr(d2l, name)] == []
    for name in ("linreg", "squared_loss", *ARGUMENTS):
        assert inspect.getdoc(getattr(d2l, name)), name


@pytest.mark.parametrize("name", ARGUMENTS)
def test_arguments_have_the_books_names_and_order(d2l, name):
    kinds = (inspect.Parameter.KEYWORD_ONLY,)
    parameters = inspect.signature(getattr(d2l, name)).parameters.values()
    assert [p.name for p in parameters if p.kind not in kinds] == ARGUMENTS[name].split()


def test_array_functions_compute_what_numpy_does(d2l):
    a = np.float32([[1, 4], [9, 16]])
    x = d2l.tensor(a)
    for found, expected in [
        (d2l.sqrt(x), np.sqrt(a)),
        (d2l.square(x), a * a),
        (d2l.reshape(x, (4, 1)), a.reshape(4, 1)),
        (d2l.reduce_sum(x), a.sum()),
        (d2l.reduce_mean(x), a.mean()),
        (d2l.zeros((2, 1)), np.zeros((2, 1))),
        (d2l.ones(3), np.ones(3)),
        (d2l.arange(5), np.arange(5)),
        (d2l.linreg(x, d2l.ones((2, 1)), d2l.ones(1)), a.sum(axis=1, keepdims=True) + 1),
        (d2l.squared_loss(d2l.reshape(x, (4, 1)), d2l.zeros(4)), a.reshape(4, 1) ** 2 / 2),
    ]:
        found = d2l.numpy(found)
        assert found.shape == np.shape(expected)
        np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert d2l.size(x) == 4
    for made in (d2l.zeros((2, 1)), d2l.ones(3), d2l.tensor([1.5]), d2l.square(x)):
        assert "float32" in str(made.dtype)


def test_normal_has_the_mean_and_the_deviation_asked_for(d2l):
    name = d2l.__name__.rpartition(".")[2]
    size = {"shape" if name in ("tensorflow", "paddle") else "size": (10_000,)}
    mean = "loc" if name in ("numpy", "mxnet") else "mean"
    std = {"tensorflow": "stddev", "numpy": "scale", "mxnet": "scale"}.get(name, "std")
    drawn = d2l.numpy(d2l.normal(**{mean: 3.0, std: 2.0}, **size))
    assert drawn.shape == (10_000,)
    assert drawn.mean() == pytest.approx(3, abs=0.1) and drawn.std() == pytest.approx(2, abs=0.1)


def imported(statement):
    code = f"import sys\n{statement}\nprint(*sorted(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {name for name in run.stdout.split() if name in FRAMEWORKS}


def test_the_package_alone_imports_no_framework():
    assert imported("import d2l_rmsprop, d2l_rmsprop.commands") == set()


@pytest.mark.parametrize("name", [name for name in FRAMEWORKS if name != "numpy"])
def test_one_framework_imports_no_other(name):
    framework(name)
    itself = f"from d2l_rmsprop.backends import mxnet_numpy; import {name}"
    if name != "mxnet":
        itself = f"import {name}"
    assert imported(f"from d2l_rmsprop import {name} as d2l") == imported(itself) | {"numpy"}


def test_mxnet_itself_imports_after_ours():
    framework("mxnet")
    run = subprocess.run(
        [sys.executable, "-c", "from d2l_rmsprop import mxnet as d2l\nfrom mxnet import np, npx\n"
         "npx.set_np()\nprint(d2l.numpy(np.ones(2) + d2l.ones(2)))"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert run.stdout.strip() == "[2. 2.]"


@pytest.mark.parametrize("name", [name for name in FRAMEWORKS if name != "numpy"])
def test_a_missing_framework_names_the_command_that_installs_it(name):
    code = f"""
import sys
sys.modules[{name!r}] = None
try:
    import d2l_rmsprop.{name}
except ImportError as error:
    print(error)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    command = f"install it with: python -m pip install 'd2l-rmsprop[{name}]'"
    if name == "mxnet" and no_mxnet_here():
        command = "make an environment"
    assert command in run.stdout
