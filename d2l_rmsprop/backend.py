"""What a framework must offer, and how an array finds its framework.

A framework is a module of this package, with the same functions in the same order as the others:

    TYPES, MUTABLE      the types of a parameter; those that can be a state too
    version()           the framework's version as text
    zeros(shape), square(a), sqrt(a), ...
                        the array functions that chapters call, under the names of the book
    split(a, batch_size)
                        the minibatches of a NumPy array, as a list of what the steps below take
    native(a)           such a minibatch as the framework's own array
    variable(a)         an array of a's shape that can be changed in place
    apply(update, params, states, *numbers)
                        update(x, s, g, *numbers) -> new (x, s), elementwise, for each parameter
                        x, its state s and its gradient g, all of one shape, and numbers, such as
                        lr, that may differ at each step; writes both back and uses the gradient
                        up. It is eager_apply, or compiled_apply inside an optimizer of compile
    COMPILER            what compiled_apply compiles with; None where it works in blocks
    linreg_step(trainer_fn, states, hyperparams, w, b)
                        two functions: step(X, y) takes one step from scratch on half the mean
                        squared error of a linear model that starts at w, of shape (d, 1), and b,
                        of shape (1,), both NumPy arrays; read() returns them as they are now
    builtin_step(trainer, hyperparams, w, b)
                        the same with the framework's own layer and its own optimizer
    builtin_rmsprop(lr, gamma, eps)
                        what train_concise_ch11 takes for this framework's own RMSProp
    EPS_IN_SQRT         where that RMSProp has its epsilon; None without one
    CHANNEL_AXIS        where images have their channel
    mlp_gradients(params, X, y)
                        sets the gradients of a perceptron's W1, b1, W2, b2 and returns its loss
    builtin_update(params, gamma, eps)
                        update(lr), which takes one step of this framework's own RMSProp

A framework is not imported until an array of it turns up, since it may be missing or broken.
"""

import contextlib
import functools
import importlib
import math
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

if TYPE_CHECKING:
    import numpy as np

Array: TypeAlias = Any  # a framework's array; docstrings give the shape
Rule: TypeAlias = Callable[..., tuple[Array, Array]]  # update(x, s, g, *numbers), see apply
Optimizer: TypeAlias = Callable[..., Any]  # f(params, states, hyperparams)
Step: TypeAlias = Callable[[Array, Array], Any]  # step(X, y)
Read: TypeAlias = Callable[[], tuple["np.ndarray", "np.ndarray"]]  # the weights w and b as they are

# Paddle before TensorFlow: imported in the other order, the process dies
BACKENDS = ("numpy", "torch", "paddle", "tensorflow", "mxnet", "jax")


def load(name: str) -> Any:
    """Return the framework's module; ImportError says what to install."""
    if name not in BACKENDS:
        raise ValueError(f"unknown framework {name!r}; choose one of: {', '.join(BACKENDS)}.")
    return importlib.import_module(f"{__package__}.{name}")


@contextlib.contextmanager
def importing(name: str) -> Iterator[None]:
    """Turn whatever a framework's own import raises into an ImportError of one sentence."""
    try:
        yield
    except Exception as error:
        absent = isinstance(error, ModuleNotFoundError) and error.name == name
        why = (
            "is not installed"
            if absent
            else f"is installed but does not import ({textwrap.shorten(str(error), 200)})"
        )
        raise ImportError(
            f"{name} {why}; install it with: {install_command(name)}", name=name
        ) from error


def install_command(name: str) -> str:
    """Return the command that installs a framework beside this package."""
    return f"python -m pip install 'd2l-rmsprop[{name}]'"


def backend_of(params: Sequence[Array], states: Sequence[Array]) -> Any:
    """Return the framework that all params and states belong to, after checking them for rmsprop.

    Raises TypeError for arrays of no framework or of two, ValueError for states that do not match
    or a parameter that has no gradient.
    """
    if states is None or len(params) != len(states):
        count = "None" if states is None else len(states)
        raise ValueError(
            f"there are {len(params)} params and {count} states; "
            "make one state for each parameter, zeros of its shape."
        )
    backend = None
    for i, (x, s) in enumerate(zip(params, states, strict=True)):
        found = _look_up(type(x))
        if found is None:
            raise TypeError(
                f"params[{i}] is a {_type_name(x)}, which has no gradient to step along; make it "
                "a torch.Tensor, tf.Variable, mx.np.ndarray or, for NumPy and JAX, d2l.Variable."
            )
        if backend is not None and found is not backend:
            raise TypeError(
                f"params[{i}] is a {_type_name(x)}, but params[0] is a {_type_name(params[0])}; "
                "use one framework for all params."
            )
        backend = found
        if not isinstance(s, backend.MUTABLE):
            raise TypeError(
                f"states[{i}] is a {_type_name(s)}, but params[{i}] is a {_type_name(x)}; "
                "make the state with d2l.variable(d2l.zeros(shape)) of the same framework."
            )
        shape, grad = tuple(x.shape), getattr(x, "grad", None)
        if tuple(s.shape) != shape:
            raise ValueError(
                f"states[{i}] has shape {tuple(s.shape)}, but params[{i}] has shape {shape}; "
                "make each state zeros of its parameter's shape."
            )
        if grad is None:
            raise ValueError(
                f"params[{i}] of shape {shape} has no gradient; "
                "run the backward pass before each step."
            )
        if tuple(grad.shape) != shape:
            raise ValueError(
                f"params[{i}] has shape {shape}, but its gradient {tuple(grad.shape)}; "
                "set params[i].grad to an array of the parameter's shape."
            )
    return backend or load("numpy")


class Hyperparams(NamedTuple):
    """Hyperparameters as read; in a sweep lr and gamma are arrays with one value for each run."""

    lr: Any
    gamma: Any
    eps: float = 1e-6
    eps_in_sqrt: bool = True


def read_hyperparams(hyperparams: Mapping[str, Any] | Hyperparams) -> Hyperparams:
    """Return Hyperparams from a reader's dict; ValueError names what is wrong."""
    if isinstance(hyperparams, Hyperparams):
        return hyperparams
    lr = _number(hyperparams, "lr")
    gamma = _number(hyperparams, "gamma", high=1)
    eps = _number(hyperparams, "eps") if "eps" in hyperparams else 1e-6
    eps_in_sqrt = hyperparams.get("eps_in_sqrt", True)
    if eps_in_sqrt not in (True, False):
        raise ValueError(f"hyperparams['eps_in_sqrt'] is {eps_in_sqrt!r}; use True or False.")
    return Hyperparams(lr, gamma, eps, eps_in_sqrt)


def _number(hyperparams: Mapping[str, Any], key: str, high: float = math.inf) -> float:
    number: Any = hyperparams.get(key)
    value = number
    if hasattr(value, "item") and math.prod(value.shape) == 1:
        number = value.item()  # an array of one number counts as that number
    if isinstance(number, (float, Real)) and 0 <= float(number) <= high and number != math.inf:
        return float(number)
    allowed = "a finite number >= 0" if high == math.inf else f"a number from 0 to {high}"
    if key not in hyperparams:
        raise ValueError(f"hyperparams has no {key!r}; add it: {allowed}.")
    raise ValueError(f"hyperparams[{key!r}] is {value!r}; it must be {allowed}.")


def _type_name(a: object) -> str:
    return f"{type(a).__module__}.{type(a).__qualname__}"


@functools.cache
def _look_up(kind: Any) -> Any:
    """Return the framework that has this type of parameter, or None."""
    # torch.nn.parameter.Parameter tells "torch"; our own Variable, d2l_rmsprop.jax, tells "jax"
    parts = (part for base in kind.__mro__ for part in base.__module__.split(".")[:2])
    name = next((part for part in parts if part in BACKENDS), None)
    backend = name and load(name)
    return backend if backend and issubclass(kind, backend.TYPES) else None


def as_numpy(a: Array) -> "np.ndarray":
    """Return any framework's array, or nested lists of them, as a NumPy array."""
    import numpy as np

    if hasattr(a, "asnumpy"):
        return a.asnumpy()
    if hasattr(a, "numpy"):
        return (a.detach().cpu() if hasattr(a, "detach") else a).numpy()
    if isinstance(a, (list, tuple)):
        return np.array([as_numpy(item) for item in a])
    return np.asarray(a)
