"""What a framework must offer, and how an array finds its framework.

A framework is a module of this package, with the same functions in the same order as the others:

    TYPES, MUTABLE, ARRAYS
                        the types of a parameter, of a state and of a gradient
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
                        up. It is eager_apply, or compiled_apply inside an optimizer of compile;
                        both get lists that went through check
    sound(params, states)
                        whether check has nothing against parameters and their states; it may say
                        no where they are unusual, and costs as little as it can
    passed(params, states)
                        hears of those that sound did not know and check has nothing against;
                        it may raise ValueError too
    obstacle(a)         what keeps an array from being changed in place, or ""
    missing_gradient(x) what to do about a parameter that has no gradient
    place(a)            where and how an array is kept, as far as the arrays of a step must agree
    identity(a)         equal for two names of one array; 0 where this cannot be told
    widened(x, s, g)    the three in the wider precision of x and s
    COMPILER            what compiled_apply compiles with; None where it works in NumPy's blocks
    trial(update)       the update as it is best tried on a few elements
    parameter(a)        a NumPy array as a parameter that can have a gradient
    give_gradient(x, g) gives it one, as a backward pass does
    optimizer_step(trainer_fn, params, states, hyperparams)
                        take(grads), a step of an optimizer in any style (see lesson/styles)
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
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

if TYPE_CHECKING:
    import numpy as np

# what a framework's file takes from here
__all__ = [
    "Array",
    "FrameworkError",
    "Hyperparams",
    "Optimizer",
    "Read",
    "Rule",
    "Step",
    "importing",
    "is_float",
    "no_memory",
    "no_obstacle",
    "no_place",
    "run_backward",
    "stepped",
]

Array: TypeAlias = Any  # a framework's array; docstrings give the shape
Rule: TypeAlias = Callable[..., tuple[Array, Array]]  # update(x, s, g, *numbers), see apply
Optimizer: TypeAlias = Callable[..., Any]  # f(params, states, hyperparams)
Step: TypeAlias = Callable[[Array, Array], Any]  # step(X, y)
Read: TypeAlias = Callable[[], tuple["np.ndarray", "np.ndarray"]]  # the weights w and b as they are

# a framework, and where its arrays with a gradient are defined
# Paddle before TensorFlow: imported in the other order, the process dies
BACKENDS = {
    "numpy": f"{__package__}.numpy",
    "torch": "torch",
    "paddle": "paddle",
    "tensorflow": "tensorflow",
    "mxnet": "mxnet.numpy",  # not its older arrays, which the newer ones' switch would break
    "jax": f"{__package__}.jax",
}
# what a reader may hold instead of a parameter, and what to do about it
_INSTEAD = {
    "numpy": "put it into a d2l.Variable",
    "jax": "put it into a d2l.Variable",
    "jaxlib": "put it into a d2l.Variable",
    "tensorflow": "make it a tf.Variable",
    "keras": "pass what it holds, x.value, with the gradient in x.value.grad",
    "mxnet.gluon": "pass its array, x.data()",
    "mxnet": "make it an mx.np.ndarray",
}
_PARAMETER = (
    "a torch.Tensor, paddle.Tensor, tf.Variable, mx.np.ndarray or, for NumPy and JAX, d2l.Variable"
)


def load(name: str) -> Any:
    """Return the framework's module; ImportError says what to install."""
    if name not in BACKENDS:
        raise ValueError(f"unknown framework {name!r}; choose one of: {', '.join(BACKENDS)}.")
    with importing(name):
        return importlib.import_module(f"{__package__}.{name}")


class FrameworkError(ImportError):
    """Why a framework cannot be used here and what to do about it, in one sentence."""


@contextlib.contextmanager
def importing(name: str, library: str = "") -> Iterator[None]:
    """Turn whatever the import of a framework, or of a library beside it, raises into a sentence.

    Raises FrameworkError.
    """
    library = library or name
    try:
        yield
    except FrameworkError:
        raise
    except (Exception, SystemExit) as error:
        if isinstance(error, ModuleNotFoundError) and error.name == library:
            why = "is not installed"
        else:
            said = textwrap.shorten(f"{type(error).__name__}: {error}", 200)
            why = f"is installed but does not work here ({said})"
        advice = f"{library} {why}; install it with: {install_command(name)}"
        raise FrameworkError(advice, name=library) from error


def install_command(name: str) -> str:
    """Return the command that installs a framework beside this package and the others here."""
    command = f"python -m pip install 'd2l-rmsprop[{name}]'"
    from importlib import metadata  # late: it takes as long to import as all of this package

    try:
        metadata.version("mxnet")
    except metadata.PackageNotFoundError:
        return command
    return f"{command} 'numpy<2'"  # or pip may bring one that MXNet cannot use


def backend_of(params: Iterable[Array]) -> tuple[Any, list[Array]]:
    """Return the framework of the params, which the first of them tells, and a list of them.

    Raises TypeError where the first is not a parameter of any framework.
    """
    if type(params) is not list:
        params = _listed(params, "params")
    if not params:
        return load("numpy"), params
    kind: Any = type(params[0])
    backend = _look_up(kind)
    if backend is None:
        raise _not_a_parameter(0, params[0])
    return backend, params


def check(
    backend: Any, params: Iterable[Array], states: Iterable[Array]
) -> tuple[list[Array], list[Array]]:
    """Return params and states as lists that a step can be taken on, whole.

    Raises TypeError for an array of another framework, of integers, or a gradient of another type
    than its parameter; ValueError for states that do not match, a parameter without a gradient,
    and whatever else would stop a step on the way.
    """
    if type(params) is not list:
        params = _listed(params, "params")
    if type(states) is not list:
        states = _listed(states, "states", len(params))
    if len(params) != len(states):
        raise _another_count(len(params), len(states))
    try:
        if backend.sound(params, states):
            return params, states
    except Exception:  # whatever an attribute that is not there raises
        pass
    for i in range(len(params)):
        _check_one(backend, i, params, states)
    _check_identities(backend, params, states)
    if params:
        backend.passed(params, states)
    return params, states


def _check_one(backend: Any, i: int, params: Sequence[Array], states: Sequence[Array]) -> None:
    x, s = params[i], states[i]
    if _framework(x) is None:
        raise _not_a_parameter(i, x)
    if _framework(x) is not backend:
        raise TypeError(
            f"params[{i}] is a {_type_name(x)}, but params[0] is a {_type_name(params[0])}; "
            "use one framework for all params."
        )
    if not isinstance(s, backend.MUTABLE):
        raise TypeError(
            f"states[{i}] is a {_type_name(s)}, but params[{i}] is a {_type_name(x)}; "
            "make the state with d2l.variable(d2l.zeros(shape)) of the same framework."
        )
    for name, a in (f"params[{i}]", x), (f"states[{i}]", s):
        try:
            if None in tuple(a.shape) or not a.dtype:
                raise ValueError("a part of it is not known")
        except Exception as error:
            reason = textwrap.shorten(str(error), 100)
            raise TypeError(
                f"{name} is a {_type_name(a)} without a shape or a type of numbers ({reason}); "
                "give it a fixed shape and its numbers first."
            ) from error
        if not is_float(a.dtype):
            raise TypeError(
                f"{name} is of {_name(a.dtype)}, which cannot hold a step of RMSProp; make it of "
                "floats of 16 bits or more, or of a complex number's real and imaginary parts."
            )
        obstacle = backend.obstacle(a)
        if obstacle:
            raise ValueError(f"{name} {obstacle}.")
    if s is getattr(x, "value", None):
        raise ValueError(f"states[{i}] is the array of params[{i}]; give it a state of its own.")
    shape = tuple(x.shape)
    if tuple(s.shape) != shape:
        raise ValueError(
            f"states[{i}] has shape {tuple(s.shape)}, but params[{i}] has shape {shape}; "
            "make each state zeros of its parameter's shape."
        )
    _check_place(backend, "its state", i, s, x)
    g = getattr(x, "grad", None)
    if g is None:
        raise ValueError(
            f"params[{i}] of shape {shape} has no gradient; {backend.missing_gradient(x)}."
        )
    if not isinstance(g, backend.ARRAYS):
        raise TypeError(
            f"the gradient of params[{i}] is a {_type_name(g)}; set params[{i}].grad to a dense "
            f"array of its parameter's framework, of shape {shape} and {_name(x.dtype)}."
        )
    _check_place(backend, "its gradient", i, g, x)
    if tuple(g.shape) != shape:
        raise ValueError(
            f"params[{i}] has shape {shape}, but its gradient {tuple(g.shape)}; "
            "set its grad to an array of the parameter's shape."
        )
    if g.dtype != x.dtype:
        raise TypeError(
            f"params[{i}] is of {_name(x.dtype)}, but its gradient of {_name(g.dtype)}; "
            "compute both in one precision, or cast the gradient."
        )


def _check_place(backend: Any, name: str, i: int, a: Array, x: Array) -> None:
    mine, its = backend.place(x), backend.place(a)
    for what in mine.keys() & its.keys():
        if mine[what] != its[what]:
            raise ValueError(
                f"params[{i}] has {what} {mine[what]}, but {name} {its[what]}; "
                f"bring both to the same {what}."
            )


def _check_identities(backend: Any, params: Sequence[Array], states: Sequence[Array]) -> None:
    seen: dict[int, str] = {}
    for name, arrays in ("params", params), ("states", states):
        for i, a in enumerate(arrays):
            this = f"{name}[{i}]"
            first = seen.setdefault(backend.identity(a) or id(a), this)
            if first != this:
                raise ValueError(
                    f"{first} and {this} are one array; list each parameter once, and give each "
                    "a state of its own."
                )


def _listed(arrays: Any, name: str, count: int = 0) -> list[Array]:
    """Return params or states as a list; a tuple, a generator or a dict's view will do."""
    if arrays is None and name == "states":
        raise _another_count(count, None)
    unfit = any(hasattr(arrays, name) for name in ("shape", "keys", "intersection"))  # no order
    if unfit or not hasattr(arrays, "__iter__"):
        raise TypeError(
            f"{name} is a {_type_name(arrays)}; pass a list, such as [x], list(a_dict.values()) or "
            f"net.parameters(), whose items are {_PARAMETER}."
        )
    listed = list(arrays)
    if not listed and isinstance(arrays, Iterator):
        raise ValueError(
            f"{name} is a {type(arrays).__name__} that has nothing to give any more; make a list "
            "of it once, such as list(net.parameters())."
        )
    return listed


def _another_count(params: int, states: int | None) -> ValueError:
    return ValueError(
        f"there are {params} params and {states} states; "
        "make one state for each parameter, zeros of its shape."
    )


def _not_a_parameter(i: int, x: Any) -> TypeError:
    module = f"{type(x).__module__}."
    ways = (way for name, way in _INSTEAD.items() if module.startswith(f"{name}."))
    return TypeError(
        f"params[{i}] is a {_type_name(x)}, which has no gradient to step along; "
        f"{next(ways, f'make it {_PARAMETER}')}."
    )


def stepped(
    update: Rule,
    widened: Callable,
    arrays: Sequence[tuple[Array, Array, Array]],
    numbers: Sequence,
) -> list[tuple[Array, Array]]:
    """Return the new (x, s) of each (x, s, g), before one is written: an error changes nothing.

    Raises ValueError where an update returns anything but two arrays of the shape of x.
    """
    pairs = []
    for x, s, g in arrays:
        if x.dtype is s.dtype or x.dtype == s.dtype:
            pair = update(x, s, g, *numbers)
        else:
            pair = update(*widened(x, s, g), *numbers)
        try:
            new_x, new_s = pair
            fits = new_x.shape == x.shape == new_s.shape or _unknown(new_x.shape, new_s.shape)
        except (TypeError, ValueError, AttributeError):
            fits = False
        if not fits:
            raise _no_pair(x, pair)
        pairs.append(pair)
    return pairs


def _unknown(*shapes: Any) -> bool:
    """Whether one is a shape that TensorFlow will know when a traced step is run."""
    return any(not getattr(shape, "is_fully_defined", lambda: True)() for shape in shapes)


def _no_pair(x: Array, returned: Any) -> ValueError:
    items = returned if isinstance(returned, (tuple, list)) else [returned]
    what = (str(getattr(a, "shape", f"a {type(a).__name__}")) for a in items)
    return ValueError(
        "an update must return two arrays, the new x and the new s, each of the shape of x, "
        f"{x.shape}; this one returned: {', '.join(what)}."
    )


def no_memory(params: Sequence[Array], states: Sequence[Array]) -> None:
    """Do nothing: this framework's ``sound`` looks at everything anew."""


def no_place(a: Array) -> dict[str, Any]:
    """Return {}: this framework brings the arrays of a step together by itself."""
    return {}


def no_obstacle(a: Array) -> str:
    """Return "": nothing keeps an array of this framework from being changed."""
    return ""


def run_backward(x: Array) -> str:
    """Return what to do about any parameter that has no gradient."""
    return "run the backward pass before each step"


class Hyperparams(NamedTuple):
    """Hyperparameters as read; in a sweep lr and gamma are arrays with one value for each run."""

    lr: Any
    gamma: Any
    eps: float = 1e-6
    eps_in_sqrt: bool = True


def read_hyperparams(hyperparams: Mapping[str, Any] | Hyperparams) -> Hyperparams:
    """Return Hyperparams from a reader's dict; ValueError names what is wrong."""
    if type(hyperparams) is not dict:
        if isinstance(hyperparams, Hyperparams):
            return hyperparams
        if not isinstance(hyperparams, Mapping):
            raise TypeError(
                f"hyperparams is a {_type_name(hyperparams)}; "
                "pass a dict, such as {'lr': 0.01, 'gamma': 0.9}."
            )
    lr = _number(hyperparams, "lr")
    gamma = _number(hyperparams, "gamma", high=1)
    eps = 1e-6
    if "eps" in hyperparams:
        eps = _number(hyperparams, "eps")
    elif "epsilon" in hyperparams:
        raise ValueError("hyperparams has 'epsilon'; rmsprop calls it 'eps'.")
    eps_in_sqrt = hyperparams.get("eps_in_sqrt", True)
    if eps_in_sqrt is not True and eps_in_sqrt is not False:
        eps_in_sqrt = _truth(eps_in_sqrt)
    return Hyperparams(lr, gamma, eps, eps_in_sqrt)


def _truth(value: Any) -> bool:
    if hasattr(value, "tolist"):  # an array of one truth value counts as that
        value = value.tolist()
    if value not in (True, False):
        raise ValueError(f"hyperparams['eps_in_sqrt'] is {value!r}; use True or False.")
    return bool(value)


def _number(hyperparams: Mapping[str, Any], key: str, high: float = sys.float_info.max) -> Any:
    value: Any = hyperparams.get(key)
    if type(value) is float and 0 <= value <= high:
        return value
    number = value
    if hasattr(value, "shape") and math.prod(value.shape) == 1:
        try:  # an array of one number counts as that number
            number = (value if hasattr(value, "item") else as_numpy(value)).item()
        except Exception:
            name = _name(value.dtype)
            if "float" in name or "int" in name:
                return value  # it is traced and has no value yet; the framework computes with it
    is_number = isinstance(number, Real) and not isinstance(number, bool)
    if is_number and 0 <= number <= high:
        return float(number)
    allowed = f"a number from 0 to {high}" if high == 1 else "a finite number >= 0"
    if key not in hyperparams:
        has = f", only {', '.join(map(repr, hyperparams))}" if hyperparams else ""
        raise ValueError(f"hyperparams has no {key!r}{has}; add it: {allowed}.")
    shown = " ".join(repr(value).split())
    shown = shown if len(shown) <= 80 else f"{shown[:77]}..."
    raise ValueError(f"hyperparams[{key!r}] is {shown}; it must be {allowed}.")


def _type_name(a: object) -> str:
    return f"{type(a).__module__}.{type(a).__qualname__}"


def _name(dtype: Any) -> str:
    return getattr(dtype, "name", str(dtype)).rpartition(".")[2].lower()


@functools.cache
def is_float(dtype: Any) -> bool:
    name = _name(dtype)
    return "float" in name and "float8" not in name  # which frameworks store, not compute with


def _framework(x: Any) -> Any:
    """Return the framework that x is a parameter of, or None."""
    kind: Any = type(x)
    return _look_up(kind)


@functools.cache
def _look_up(kind: Any) -> Any:
    # torch.nn.parameter.Parameter tells "torch"; our own Variable, d2l_rmsprop.jax, tells "jax"
    modules = [f"{base.__module__}." for base in kind.__mro__]
    homes = (n for m in modules for n, home in BACKENDS.items() if m.startswith(f"{home}."))
    name = next(homes, None)
    backend = name and load(name)
    return backend if backend and issubclass(kind, backend.TYPES) else None


def check_count(**counts: Any) -> None:
    """Raise ValueError for a count that is not a whole number >= 1, by its name."""
    import numpy as np

    for name, value in counts.items():
        if not isinstance(value, (int, np.integer)) or value < 1:
            raise ValueError(f"{name} is {value!r}; it must be a whole number >= 1.")


def as_numpy(a: Array) -> "np.ndarray":
    """Return any framework's array, or nested lists of them, as a NumPy array."""
    import numpy as np

    if hasattr(a, "asnumpy"):
        return a.asnumpy()
    if hasattr(a, "detach"):
        a = a.detach().cpu()
        return (a.float() if "bfloat16" in str(a.dtype) else a).numpy()  # which NumPy does not have
    if hasattr(a, "numpy"):
        return a.numpy()
    if isinstance(a, (list, tuple)):
        return np.array([as_numpy(item) for item in a])
    return np.asarray(a)
