"""Judging a student's rmsprop, and the exercises' other functions, by what they do."""

from collections.abc import Callable, Mapping
from typing import Any


def check(
    d2l: Any,
    answer: Callable | str,
    names: Mapping[str, Any] | None = None,
    *,
    language: str = "en",
) -> bool:
    """Try a student's function on this framework, print the verdict and return whether it is right.

    Arguments:
        answer: ``rmsprop(params, states, hyperparams)``, in any style that the book has used; or
            the name of another function that an exercise asks for, such as "leaky_average".
        names: where that name is looked up: ``globals()``.
        language: of what is printed: "en", "zh" or "vi".

    Raises ValueError for a name that no exercise asks for and for another language.
    """
    # late: where students' code runs for the command line, the answers must not be in memory
    from .words import WORDS

    if language not in WORDS:
        raise ValueError(f"language is {language!r}; choose one of: {', '.join(WORDS)}.")
    if isinstance(answer, str):
        from .exercises import GRADED, mistake_in

        if answer not in GRADED:
            raise ValueError(
                f"no exercise asks for {answer!r}; choose one of: {', '.join(GRADED)}."
            )
        mistake = mistake_in(answer, names or {}, language)
        print(mistake or f"{answer}: {WORDS[language]['right']}")
        return mistake is None
    from .verdict import RIGHT, check_function

    verdict = check_function(answer, d2l.__name__.rpartition(".")[2], language)
    print(verdict.mistake or WORDS[language]["right"])
    return verdict.verdict == RIGHT
