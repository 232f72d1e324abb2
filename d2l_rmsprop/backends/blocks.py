"""An update over blocks that stay in the cache, for a framework without a compiler."""

import ctypes
import functools
import math
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

BLOCK = 2**17  # elements: a few such arrays fit in the cache, and few are needed


def apply_in_blocks(update, x, s, g, *numbers):
    """Write update(x, s, g, *numbers) to the NumPy arrays x and s, with a thread for each core."""
    if x.dtype != s.dtype:
        update = functools.partial(_in_the_wider, update)
    if x.size <= BLOCK:
        x[...], s[...] = update(x, s, g, *numbers)
        return
    _keep_blocks()
    if all(a.flags.c_contiguous for a in (x, s, g)):
        threads = os.cpu_count()
        parts = zip(*(np.array_split(a.reshape(-1), threads) for a in (x, s, g)), strict=True)
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(lambda part: _apply_to_each(update, *part, *numbers), parts))
    else:
        _apply_to_each(update, x, s, g, *numbers)


def _apply_to_each(update, x, s, g, *numbers):
    flags, roles = ["external_loop", "buffered"], ["readwrite", "readwrite", "readonly"]
    with np.nditer([x, s, g], flags, [[role] for role in roles], buffersize=BLOCK) as blocks:
        for old_x, old_s, g_block in blocks:
            old_x[...], old_s[...] = update(old_x, old_s, g_block, *numbers)


def widened(x: np.ndarray, s: np.ndarray, g: np.ndarray) -> list[np.ndarray]:
    """Return the three in the wider precision of x and s."""
    wide = np.promote_types(x.dtype, s.dtype)
    return [a.astype(wide, copy=False) for a in (x, s, g)]


def _in_the_wider(update, x, s, g, *numbers):
    return update(*widened(x, s, g), *numbers)


@functools.cache
def _keep_blocks():
    """Let the C library keep a freed block for the next one, not give it back to the system.

    glibc learns what is worth keeping from the largest array freed so far; without this a step
    spends half of its time on pages that it has just given back (mallopt(3), M_MMAP_THRESHOLD).
    """
    np.empty(16 * BLOCK, np.float64)


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
