"""How an optimizer wants to be called: the styles of all the book's editions, on every framework.

An optimizer takes (params, states, hyperparams) and reads the gradients from the parameters, or
takes them as well: (params, grads, states, hyperparams), in any order. It changes params and
states in place, or puts new ones into the two lists, or returns new params, alone or with states.
"""

import inspect
import operator
import re
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import FunctionType
from typing import Any, NamedTuple

import numpy as np

from ..backend import Array, Hyperparams, Optimizer, as_numpy, read_hyperparams

ROLES = ("params", "grads", "states", "hyperparams")
# "hyperparams" before "params"; where an argument has a default, only a full name is a role
_NAMES = {
    "grads": r"g|gs|gr|(.+_)?grad(ient)?s?|grad.*|d_?params|updates",
    "hyperparams": r"h|hp|hps|hyper.*|hparams|config|cfg",
    "states": r"s|ss|(.+_)?states?",
    "params": r"p|ps|(.+_)?param(eter)?s?",
}
_FULL_NAMES = r"grad(ient)?s?|hyper_?param(eter)?s|states?|param(eter)?s"


class Arrangement(NamedTuple):
    """The roles of an optimizer's arguments: those in order, and those by keyword."""

    positional: list[str]
    keywords: dict[str, str]

    @property
    def takes_grads(self) -> bool:
        return "grads" in (*self.positional, *self.keywords.values())


def arrangement(trainer_fn: Optimizer, hyperparams: Iterable[str] = ()) -> Arrangement:
    """Return what an optimizer's arguments are: by their names, an unknown one by its place.

    Raises TypeError for one that is none of these, such as one of the ``hyperparams`` by itself.
    """
    arguments = _arguments(trainer_fn)
    roles: dict[str, str] = {}  # of the arguments, by name
    for a in arguments:
        if (role := _role(a)) and role not in roles.values():
            roles[a.name] = role
    required = [a.name for a in arguments if a.default is a.empty and a.kind not in _VARIADIC]
    known = arguments or isinstance(trainer_fn, FunctionType)  # not what is written in C
    if known and not roles and len(required) < 2 and not {a.kind for a in arguments} & _VARIADIC:
        raise TypeError(
            f"trainer_fn takes ({', '.join(a.name for a in arguments)}), none of which is one of "
            f"{', '.join(ROLES)}; a framework's own optimizer goes to the concise training."
        )
    for place, name in enumerate(required):
        if name not in roles:
            if name in hyperparams:
                raise _by_itself(name)
            free = [role for role in ROLES if role not in roles.values()]
            if len(required) == 4:
                free = [role for role in free if role == ROLES[place]]
            else:
                free = [role for role in free if role != "grads"]
            if not free:
                raise TypeError(
                    f"trainer_fn takes an argument {name!r}, which is none of {', '.join(ROLES)}; "
                    "give it a default."
                )
            roles[name] = free[0]
    arranged = _arranged(arguments, roles)
    if "hyperparams" not in (*arranged.positional, *arranged.keywords.values()):
        for a in arguments:
            if a.name in hyperparams:  # its default would count, whatever the dict says
                raise _by_itself(a.name)
    for a in arguments:
        spread = a.kind is a.VAR_KEYWORD and re.fullmatch(_NAMES["hyperparams"], a.name)
        if spread and "hyperparams" in arranged.keywords:
            raise TypeError(
                f"trainer_fn takes **{a.name}, but hyperparams come as one dict; let it take "
                f"{a.name}, without the stars."
            )
    return arranged


def _by_itself(name: str) -> TypeError:
    return TypeError(
        f"trainer_fn takes {name!r} as an argument, but hyperparams come as one dict; let it take "
        f"hyperparams and read hyperparams[{name!r}]."
    )


_VARIADIC = {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}


def _arguments(function: Any, depth: int = 3) -> list[inspect.Parameter]:
    """Return the arguments to give; a wrapper that hands on its *args has those of its function."""
    try:
        found = list(inspect.signature(function, follow_wrapped=False).parameters.values())
    except (TypeError, ValueError):  # written in C
        found = []
    bound = getattr(function, "keywords", {})  # of functools.partial
    found = [a for a in found if a.name not in bound]
    if depth and all(a.kind in _VARIADIC for a in found):
        wrapped = getattr(function, "__wrapped__", None)
        cells = getattr(function, "__closure__", None) or ()
        attributes = getattr(function, "__dict__", {}).values()
        for inner in (wrapped, *(cell.cell_contents for cell in cells), *attributes):
            arguments = _arguments(inner, depth - 1) if callable(inner) else []
            if inner is wrapped or len({_role(a) for a in arguments} - {None}) > 1:
                found = arguments or found
    return found


def _role(a: inspect.Parameter) -> str | None:
    name = a.name.lower().strip("_")
    if a.kind in _VARIADIC or (a.default is not a.empty and not re.fullmatch(_FULL_NAMES, name)):
        return None
    return next((role for role, names in _NAMES.items() if re.fullmatch(names, name)), None)


def _arranged(arguments: Sequence[inspect.Parameter], roles: Mapping[str, str]) -> Arrangement:
    positional: list[str] = []
    keywords: dict[str, str] = {}
    skipped = False
    rest = [role for role in ROLES if role != "grads" and role not in roles.values()]
    for a in arguments:
        if a.kind is a.VAR_POSITIONAL:
            positional += rest
            rest = []
        elif a.kind is a.VAR_KEYWORD:
            keywords |= {role: role for role in rest}
        elif a.name not in roles:
            skipped = skipped or a.kind not in _VARIADIC
        elif a.kind is a.KEYWORD_ONLY or skipped:
            keywords[a.name] = roles[a.name]
        else:
            positional.append(roles[a.name])
    return Arrangement(positional if arguments else rest, keywords)


def steps(
    trainer_fn: Optimizer,
    params: Sequence[Array],
    states: Any,
    hyperparams: Any,
    write: Callable[[Array, Array], Any],
    plain: Callable[[Array], Array] | None = None,
) -> Callable[[list[Array]], None]:
    """Return take(grads), one step of ``trainer_fn``, called as its arguments and result want it.

    Each parameter keeps its object: ``write(x, value)`` writes into it what the optimizer returned
    or put into the list. One that takes the gradients is given ``plain(x)`` for each parameter and
    state x. States in a list are the reader's own list; a tuple becomes a list.
    """
    arranged = arrangement(trainer_fn, hyperparams)
    call = _caller(trainer_fn, arranged)
    plain = plain if arranged.takes_grads else None
    states = list(states) if type(states) is tuple else states
    states = _mapped(plain, states) if plain else states
    first: _FirstStep | None = _FirstStep(params)

    def take(grads: list[Array]) -> None:
        nonlocal states, first
        old = [plain(x) for x in params] if plain else list(params)
        new: Sequence[Array] = old[:]
        if first:
            first.start(grads)
        returned = call(listed := new, grads, states, hyperparams)
        kept = states
        if returned is not None and returned is not states and returned is not grads:
            new, kept = _taken(returned, new, states)
            if first and any(map(operator.is_not, new, listed)):
                first.check(new, (listed, "left in the list"), (items(kept), "returned second"))
        first = None
        if len(new) != len(old):
            raise ValueError(f"trainer_fn gave {len(new)} params for {len(old)}; {_RETURN}.")
        if any(map(operator.is_not, new, old)):
            for i, (x, after) in enumerate(zip(params, new, strict=True)):
                _check(i, x, after)
            for x, before, after in zip(params, old, new, strict=True):
                if after is not before:
                    write(x, after)
        if kept is not states and isinstance(states, list):
            states[:] = kept
        else:
            states = kept

    return take


def _caller(trainer_fn: Optimizer, arranged: Arrangement) -> Callable[..., Any]:
    """Return call(params, grads, states, hyperparams), which hands them on in the right order."""
    positional, keywords = arranged
    if (positional, keywords) == (["params", "states", "hyperparams"], {}):  # most, so no detours
        return lambda params, grads, states, hyperparams: trainer_fn(params, states, hyperparams)

    def call(*values: Any) -> Any:
        given = dict(zip(ROLES, values, strict=True))
        return trainer_fn(
            *[given[role] for role in positional],
            **{name: given[role] for name, role in keywords.items()},
        )

    return call


def _mapped(plain: Callable[[Array], Array], states: Any) -> Any:
    """Return the states with ``plain(s)`` for each s in them; lists and dicts stay themselves."""
    if isinstance(states, list):
        states[:] = [_mapped(plain, s) for s in states]
    elif isinstance(states, dict):
        states.update({key: _mapped(plain, s) for key, s in states.items()})
    elif type(states) is tuple:
        return tuple(_mapped(plain, s) for s in states)
    else:
        return plain(states)
    return states


def items(a: Any) -> list | None:
    """Return a list of what a list, a tuple, an iterator or a dict's view has; None for others."""
    if hasattr(a, "shape") or isinstance(a, (Mapping, str)) or not isinstance(a, Iterable):
        return None
    return list(a)


def _shapes(arrays: Iterable[Any]) -> list[tuple | None]:
    return [tuple(a.shape) if hasattr(a, "shape") else None for a in arrays]


def _taken(returned: Any, params: Sequence[Array], states: Any) -> tuple[Sequence[Array], Any]:
    """Return (params, states) from what an optimizer returned: params, or (params, states).

    Anything else is left alone, and the params are those in the list.
    """
    if inspect.isawaitable(returned) or hasattr(returned, "__aiter__"):
        getattr(returned, "close", bool)()  # or Python warns that nobody waits for it
        raise TypeError("trainer_fn is an async function, which nobody waits for; use plain def.")
    found = items(returned) or []
    nested = [items(item) for item in found]
    shapes = _shapes(found)
    if not any(shapes) and not any(nested) and shapes != _shapes(params):
        return params, states  # numbers, such as a norm
    first = nested[0]
    if first is None or not any(hasattr(a, "shape") for a in first):
        return found, states
    if len(found) == 1:
        return first, states
    if isinstance(states, list) and nested[1] is None:
        raise TypeError(
            f"trainer_fn returned {described(found[1])} for the list of states; {_RETURN}."
        )
    return first, nested[1] if isinstance(found[1], Iterator) else found[1]


_RETURN = "return the new params, (params, states), or nothing where they are in the lists"


class _FirstStep:
    """Tells params from states of the same shapes: from any start, a step is against the slope."""

    def __init__(self, params: Sequence[Array]) -> None:
        self._params = params

    def start(self, grads: Sequence[Array]) -> None:
        self._old, self._grads = ([np.array(as_numpy(a)) for a in b] for b in (self._params, grads))

    def check(self, new: Sequence[Array], *others: tuple[Sequence[Array] | None, str]) -> None:
        """Raise ValueError where others than what is taken for the new params must be these."""
        if self._descends(new) in (True, None):
            return
        for arrays, where in others:
            if self._descends(arrays):
                raise ValueError(
                    "what trainer_fn returned as params is not a step against the gradient, but "
                    f"what it {where} is; {_RETURN}."
                )

    def _descends(self, arrays: Sequence[Array] | None) -> bool | None:
        """Whether each element moved against its gradient; None where none moved."""
        if _shapes(arrays or ()) != _shapes(self._params):
            return None
        moves = [as_numpy(a) - old for a, old in zip(arrays or (), self._old, strict=True)]
        if not any(map(np.any, moves)):
            return None
        return all(map(np.array_equal, map(np.sign, moves), [-np.sign(g) for g in self._grads]))


def _check(i: int, x: Array, value: Array) -> None:
    shape = tuple(getattr(value, "shape", ()))
    if shape != tuple(x.shape):
        what = f"shape {shape}" if shape else f"the type {type(value).__name__}"
        raise ValueError(
            f"trainer_fn gave params[{i}] {what}, not an array of shape {tuple(x.shape)}; "
            f"{_RETURN}."
        )


def check_gradients(enabled: bool) -> None:
    """Raise ValueError where a framework's gradients are switched off."""
    if not enabled:
        raise ValueError(
            "gradients are switched off here, as by no_grad() or inference_mode(); train outside "
            "of it."
        )


def inputs(
    hyperparams: Any, convert: Callable[[Hyperparams], Array]
) -> Callable[[], tuple[Array, bool]]:
    """Return read(), which gives a traced step (numbers, eps_in_sqrt), rmsprop's hyperparameters.

    They are read and checked at each call; ``convert`` makes the numbers an array, where one has
    changed.
    """
    never = [object()]
    seen, numbers, eps_in_sqrt = never, None, True

    def read() -> tuple[Array, bool]:
        nonlocal seen, numbers, eps_in_sqrt
        found = [*map(hyperparams.get, Hyperparams._fields)]
        if not all(map(operator.is_, found, seen)):
            now = read_hyperparams(hyperparams)
            numbers, eps_in_sqrt = convert(now), now.eps_in_sqrt
            constant = all(a is None or isinstance(a, (float, int)) for a in found)
            seen = found if constant else never  # an array may change and stay the same object
        return numbers, eps_in_sqrt

    return read


def maker(trainer: Any, kind: type, example: str) -> Callable[..., Any]:
    """Return make(hyperparams, ...), which makes a framework's own optimizer.

    ``trainer`` is its class, or a function that returns one; ``kind`` the class of all of them and
    ``example`` one of their names.
    """
    if {"params", "states"} <= {_role(a) for a in _arguments(trainer)}:
        raise TypeError(
            f"trainer is {getattr(trainer, '__name__', described(trainer))}, an optimizer from "
            f"scratch; give it to the training from scratch, or a class such as {example} here."
        )
    if not callable(trainer):
        raise TypeError(f"trainer is {described(trainer)}; it must be a class, such as {example}.")

    def make(hyperparams: Mapping[str, Any], *args: Any, **others: Any) -> Any:
        name = getattr(trainer, "__name__", type(trainer).__name__)
        try:
            optimizer = trainer(*args, **others, **hyperparams)
        except Exception as error:
            reason = textwrap.shorten(str(error), 200)
            raise ValueError(
                f"{name} does not take the hyperparams {dict(hyperparams)} ({reason}); it takes: "
                f"{', '.join(_keywords(trainer))}."
            ) from error
        if not isinstance(optimizer, kind):
            raise TypeError(
                f"trainer {name} makes {described(optimizer)}; it must be a class, such as "
                f"{example}; a function of your own goes to the training from scratch."
            )
        return optimizer

    return make


def _keywords(trainer: Any) -> list[str]:
    """Return the names of an optimizer's hyperparameters: those of its class and its bases."""
    names: dict[str, None] = {}  # keeps their order
    for each in trainer.__mro__[:-1] if isinstance(trainer, type) else [trainer]:
        arguments = _arguments(each, depth=0)
        names |= {a.name: None for a in arguments if a.kind not in _VARIADIC}
        if all(a.kind is not a.VAR_KEYWORD for a in arguments):  # nothing goes on to the base
            break
    return [name for name in names if name not in ("params", "parameters")]


def described(a: Any) -> str:
    """Return what a value is, for a message: None, a number or text itself, else its type."""
    if a is None or isinstance(a, (str, int, float)):
        return repr(a)
    kind = a if isinstance(a, type) else type(a)
    name = f"{kind.__module__}.{kind.__qualname__}".replace("builtins.", "")
    return f"the class {name}" if kind is a else f"an instance of {name}"
