"""An update over blocks that stay in the cache, for a framework without a compiler."""

import ctypes
import functools
import math
import os
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from ..backend import Rule

BLOCK = 2**17  # elements: a few such arrays fit in the cache, and few are needed


def apply_in_blocks(
    update: Rule, x: np.ndarray, s: np.ndarray, g: np.ndarray, *numbers: Any
) -> None:
    """Write update(x, s, g, *numbers) to the NumPy arrays x and s, with a thread for each core."""
    if x.dtype != s.dtype:
        update = functools.partial(_in_the_wider, update)
    if x.size <= BLOCK or "raise" in np.geterr().values():
        x[...], s[...] = update(x, s, g, *numbers)  # an error comes before anything is written
        return
    seen: set[str] = set()  # one warning when all is written, however many blocks there are
    collect: dict[str, Any] = {
        kind: "call" if how == "warn" else how for kind, how in np.geterr().items()
    }
    threads = os.cpu_count() or 1
    parts = [(x, s, g)]
    if all(a.flags.c_contiguous for a in (x, s, g)):
        split = (np.array_split(a.reshape(-1), threads) for a in (x, s, g))
        parts = list(zip(*split, strict=True))

    def apply_to_part(part: tuple[np.ndarray, ...]) -> None:
        with np.errstate(call=lambda kind, flag: seen.add(kind), **collect):
            _apply_to_each(update, *part, *numbers)

    with ThreadPoolExecutor(len(parts)) as pool:
        list(pool.map(apply_to_part, parts))
    for kind in sorted(seen):
        warnings.warn(f"{kind} encountered in an update", RuntimeWarning, stacklevel=2)


def _apply_to_each(
    update: Rule, x: np.ndarray, s: np.ndarray, g: np.ndarray, *numbers: Any
) -> None:
    flags: list[Any] = ["external_loop", "buffered"]
    of_g = "readwrite" if g.flags.writeable else "readonly"  # an update may use it up
    roles: list[Any] = [["readwrite"], ["readwrite"], [of_g]]
    with np.nditer([x, s, g], flags, roles, buffersize=BLOCK) as blocks:
        for old_x, old_s, g_block in blocks:
            old_x[...], old_s[...] = update(old_x, old_s, g_block, *numbers)


def widened(x: np.ndarray, s: np.ndarray, g: np.ndarray) -> list[np.ndarray]:
    """Return the three in the wider precision of x and s."""
    wide = np.promote_types(x.dtype, s.dtype)
    return [a.astype(wide, copy=False) for a in (x, s, g)]


def _in_the_wider(
    update: Rule, x: np.ndarray, s: np.ndarray, g: np.ndarray, *numbers: Any
) -> tuple[np.ndarray, np.ndarray]:
    return update(*widened(x, s, g), *numbers)


def memory(address: int, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Return NumPy's view of an array that a framework holds on the CPU."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    held: Any = (ctypes.c_byte * size).from_address(address)
    return np.ndarray(shape, dtype, held)


def on_blocks_too(framework: Any, *names: str) -> list[Callable]:
    """Return functions of a framework's arrays that take NumPy's as well, by NumPy's functions."""

    def both(own: Callable, numpys: Callable) -> Callable:
        @functools.wraps(own)
        def function(a: Any, *args: Any, **kwargs: Any) -> Any:
            return (numpys if isinstance(a, (np.ndarray, np.generic)) else own)(a, *args, **kwargs)

        return function

    return [both(getattr(framework, name), getattr(np, name)) for name in names]
