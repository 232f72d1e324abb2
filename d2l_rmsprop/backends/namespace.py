"""The chapter's names that all frameworks share, each written once.

A framework's file takes them with ``from .backends.namespace import *`` and, at its end, calls
``bind(__name__)``, which fills the framework in where a function needs it: the chapter's
``d2l.train_ch11(rmsprop, ...)`` is ``training.train_ch11(d2l, rmsprop, ...)``.
"""

import functools
import inspect
import sys
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar

from ..backend import as_numpy as numpy
from ..experiments import fashion_mnist
from ..experiments.sweep import sweep
from ..lesson import data, plotting, training
from ..lesson.data import DATA_HUB, DATA_URL, download, linear_problem
from ..lesson.plotting import (
    Accumulator,
    Animator,
    Timer,
    annotate,
    plot,
    plt,
    set_axes,
    set_figsize,
    train_2d,
    use_svg_display,
)
from ..lesson.trace import trace_linreg
from ..rmsprop import init_rmsprop_states as _init_rmsprop_states
from ..rmsprop import leaky_average_weights, rmsprop, rmsprop_2d
from ..marking import check as _check
from . import compiling
from .compiling import compile

__all__ = [
    "DATA_HUB",
    "DATA_URL",
    "Accumulator",
    "Animator",
    "Timer",
    "annotate",
    "apply",
    "bind",
    "check",
    "compile",
    "download",
    "evaluate_loss",
    "fit",
    "get_data_ch11",
    "init_rmsprop_states",
    "leaky_average_weights",
    "linear_problem",
    "linreg",
    "load_array",
    "load_data_fashion_mnist",
    "numpy",
    "optimize",
    "plot",
    "plt",
    "rmsprop",
    "rmsprop_2d",
    "set_axes",
    "set_figsize",
    "show_trace_2d",
    "squared_loss",
    "sweep",
    "trace_linreg",
    "train_2d",
    "train_ch11",
    "train_concise_ch11",
    "train_mlp",
    "use_svg_display",
]

P = ParamSpec("P")
R = TypeVar("R")
_unbound: dict[str, Callable] = {}


def _on_framework(function: Callable[Concatenate[Any, P], R]) -> Callable[P, R]:
    """Mark a function whose first argument is the framework, and type it without this one."""
    _unbound[function.__name__] = function
    return function  # type: ignore[return-value]


apply = _on_framework(compiling.apply)
check = _on_framework(_check)
evaluate_loss = _on_framework(training.evaluate_loss)
fit = training.fit
get_data_ch11 = _on_framework(data.get_data_ch11)
init_rmsprop_states = _on_framework(_init_rmsprop_states)
linreg = _on_framework(training.linreg)
load_array = _on_framework(data.load_array)
load_data_fashion_mnist = _on_framework(fashion_mnist.load_data_fashion_mnist)
optimize = _on_framework(training.optimize)
show_trace_2d = _on_framework(plotting.show_trace_2d)
squared_loss = _on_framework(training.squared_loss)
train_ch11 = _on_framework(training.train_ch11)
train_concise_ch11 = _on_framework(training.train_concise_ch11)
train_mlp = _on_framework(fashion_mnist.train_mlp)


def bind(framework: str) -> None:
    """Fill the framework in, in its own module; a function that it defines itself stays."""
    module = sys.modules[framework]
    for name, function in _unbound.items():
        if getattr(module, name) is function:
            setattr(module, name, bound(function, module))


def bound(function: Callable, d2l: Any, name: str = "") -> Callable:
    """Return a function with the framework, its first argument, filled in; it may be renamed."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        return function(d2l, *args, **kwargs)

    call.__name__ = name or function.__name__
    del call.__wrapped__  # help() would show the framework's place again
    parameters = list(inspect.signature(function).parameters.values())
    call.__signature__ = inspect.Signature(parameters[1:])  # type: ignore[attr-defined]
    return call
