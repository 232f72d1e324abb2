"""Judging a student's rmsprop by what it does."""

from collections.abc import Callable
from typing import Any


def check(d2l: Any, rmsprop: Callable, *, language: str = "en") -> bool:
    """Try a student's rmsprop on this framework, print the verdict and return whether it is right.

    Arguments:
        rmsprop: ``rmsprop(params, states, hyperparams)``, in any style that the book has used.
        language: of what is printed: "en", "zh" or "vi".
    """
    # late: where students' code runs for the command line, the answers must not be in memory
    from .verdict import RIGHT, check_function
    from .words import WORDS

    if language not in WORDS:
        raise ValueError(f"language is {language!r}; choose one of: {', '.join(WORDS)}.")
    verdict = check_function(rmsprop, d2l.__name__.rpartition(".")[2], language)
    print(verdict.mistake or WORDS[language]["right"])
    return verdict.verdict == RIGHT
