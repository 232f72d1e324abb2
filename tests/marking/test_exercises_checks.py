"""The exercises' functions: right ones in any style pass, a usual mistake gets its sentence."""

import itertools
import math

import numpy as np
import pytest
from conftest import framework

from d2l_rmsprop import numpy as d2l
from d2l_rmsprop.marking.exercise_words import WORDS
from d2l_rmsprop.marking.exercises import GRADED, mistake_in


def filtered(values, gamma):
    """Return the leaky average as a sum over all past values."""
    weights = (1 - gamma) * gamma ** np.arange(len(values))
    return np.convolve(values, weights)[: len(values)]


def recursive(values, gamma):
    if not len(values):
        return []
    before = recursive(values[:-1], gamma)
    return [*before, gamma * (before[-1] if before else 0) + (1 - gamma) * values[-1]]


def tables_one_by_one(lrs, gammas, seeds):
    total = 0
    for seed in seeds:
        total = total + d2l.sweep(lrs, gammas, seed=seed, draw=False).losses
    return (total / len(seeds)).tolist()


def cell_by_cell(lrs, gammas, seeds):
    def cell(lr, gamma):
        one = [d2l.sweep([lr], [gamma], seed=seed, draw=False).losses[0, 0] for seed in seeds]
        return sum(one) / len(one)

    return [[cell(lr, gamma) for lr in lrs] for gamma in gammas]


def limit_by_bisection(eps):
    low, high = 0.0, 10.0
    for _ in range(50):
        lr = (low + high) / 2
        x1, x2, s1, s2 = 1.0, 1.0, 0.0, 0.0
        for _ in range(300):
            x1, x2, s1, s2 = d2l.rmsprop_2d(x1, x2, s1, s2, lr=lr, gamma=1, eps=eps)
            if abs(x2) > 10:
                break
        low, high = (low, lr) if abs(x2) > 1 else (lr, high)
    return low


def hessian_by_differences():
    def grad(x):
        return np.array([4.2 * x[0] - 3.8 * x[1], 4.2 * x[1] - 3.8 * x[0]])

    return [(grad(h) - grad(-h)) / 2 for h in np.eye(2)]


def sample_deviation(losses):
    late = [math.log10(loss) for loss in losses[-100:]]
    changes = [b - a for a, b in itertools.pairwise(late)]
    mean = sum(changes) / len(changes)
    return math.sqrt(sum((c - mean) ** 2 for c in changes) / (len(changes) - 1))


def by_a_loop(train_mlp, train_iter, valid_iter, lrs):
    accuracies = []
    for lr in lrs:
        history = train_mlp(train_iter, valid_iter, lr, num_epochs=2, accuracy="validation")
        accuracies.append(history.accuracies[1])
    return np.array(accuracies)


RIGHT = [
    ("largest_lr", lambda eps: math.sqrt(eps) / 2),
    ("largest_lr", limit_by_bisection),
    ("turned_grad", lambda x1, x2: (4.2 * x1 - 3.8 * x2, 4.2 * x2 - 3.8 * x1)),
    ("turned_grad", lambda x1, x2: np.array([[4.2, -3.8], [-3.8, 4.2]]) @ [x1, x2]),
    ("hessian", lambda: [[4.2, -3.8], [-3.8, 4.2]]),
    ("hessian", hessian_by_differences),
    ("leaky_average", filtered),
    ("leaky_average", recursive),
    ("leaky_average", lambda values, gamma: np.float32(filtered(np.float32(values), gamma))),
    ("plain_count", lambda gamma: (1 + gamma) / (1 - gamma)),
    ("plain_count", lambda gamma: round(2 / (1 - gamma) - 1)),
    ("sensitivity", tables_one_by_one),
    ("sensitivity", cell_by_cell),
    ("falling_lr", lambda t, start: start - start * t),
    ("gamma_up", lambda t: [0.9, 0.99][int(t >= 0.5)]),
    ("gamma_down", lambda t: 0.9 if t > 0.5 else 0.99),
    ("roughness", sample_deviation),
    ("roughness", lambda losses: np.std(np.diff(np.log10(losses[-100:])))),
    ("roughness", lambda losses: np.std(np.diff(np.log10(losses[-101:])))),
    ("ten_times_as_long", lambda run: run(0.03, gamma=0.999, num_epochs=30)),
    ("larger_lr", lambda run: run(lr=0.2, gamma=0.999)),
    ("larger_lr", lambda run: run(0.5, 0.999, 3)),
    ("validation_accuracies", by_a_loop),
    ("choose_lr", lambda lrs, accuracies: max(zip(accuracies, lrs, strict=True))[1]),
]


def train(lrs, train_mlp, *iters, entry=-1, **options):
    return [train_mlp(*iters, lr, **options).accuracies[entry] for lr in lrs]


def means(values, gamma):
    return [sum(values[: i + 1]) / (i + 1) for i in range(len(values))]


WRONG = [
    ("largest_lr", lambda eps: eps / 2, "epsilon outside the root"),
    ("largest_lr", lambda eps: 5e-4, "does not depend on eps"),
    ("largest_lr", lambda eps: 2 * math.sqrt(eps) / 0.2, "the limit in x1"),
    ("turned_grad", lambda x1, x2: (0.2 * x1, 4 * x2), "straight valley"),
    ("turned_grad", lambda x1, x2: (3.8 * x2 - 4.2 * x1, 3.8 * x1 - 4.2 * x2), "minus the"),
    ("turned_grad", lambda x1, x2: (4.2 * x2 - 3.8 * x1, 4.2 * x1 - 3.8 * x2), "wrong order"),
    ("turned_grad", lambda x1, x2: 4.2 * x1 - 3.8 * x2, "has the shape ()"),
    ("hessian", lambda: [[2.1, -1.9], [-1.9, 2.1]], "twice as large"),
    ("hessian", lambda: [[0.4, 0], [0, 8]], "eigenvalues"),
    ("hessian", lambda: [4.2, -3.8, -3.8, 4.2], "should have (2, 2)"),
    ("leaky_average", lambda v, gamma: filtered(v, 1 - gamma), "are swapped"),
    ("leaky_average", lambda v, gamma: filtered(v, gamma) / (1 - gamma), "is missing"),
    ("leaky_average", lambda v, gamma: filtered(np.square(v), gamma), "the squares"),
    ("leaky_average", lambda v, gamma: filtered(v, 0.9), "does not depend on gamma"),
    ("leaky_average", lambda v, gamma: [0, *filtered(v, gamma)], "s_0"),
    ("leaky_average", lambda v, gamma: filtered(v, gamma)[-1], "only the last"),
    ("leaky_average", means, "plain mean"),
    ("plain_count", lambda gamma: 1 / (1 - gamma), "mean age"),
    ("plain_count", lambda gamma: 19, "does not depend on gamma"),
    ("plain_count", lambda gamma: math.log(0.5, gamma), "half-life"),
    ("sensitivity", lambda *a: np.transpose(tables_one_by_one(*a)), "rows and columns"),
    ("sensitivity", lambda a, b, seeds: tables_one_by_one(b, a, seeds), "lrs and gammas"),
    ("sensitivity", lambda a, b, seeds: tables_one_by_one(a, b, range(5)), "depend on seeds"),
    ("sensitivity", lambda a, b, seeds: tables_one_by_one(a, b, seeds[:1]), "first seed"),
    ("sensitivity", lambda *a: 2 * np.array(tables_one_by_one(*a)), "the sum"),
    ("sensitivity", lambda *a: np.full((3, 2), 0.2447), "does not depend on lrs"),
    ("falling_lr", lambda t, start: start, "does not depend on t"),
    ("falling_lr", lambda t, start: 0.02 * (1 - t), "does not depend on start"),
    ("falling_lr", lambda t, start: start * t, "rises"),
    ("falling_lr", lambda t, start: start * (1 - t) ** 2, "is"),
    ("gamma_up", lambda t: 0.9, "does not depend on t"),
    ("gamma_up", lambda t: 0.99 if t < 0.5 else 0.9, "the other way"),
    ("gamma_down", lambda t: 0.9 if t < 0.5 else 0.99, "the other way"),
    ("gamma_down", lambda t: 0.99 - 0.09 * t, "little by little"),
    ("roughness", lambda losses: np.std(np.diff(losses[-100:])), "logarithm is missing"),
    ("roughness", lambda losses: np.std(np.diff(np.log(losses[-100:]))), "take log10"),
    ("roughness", lambda losses: np.std(np.log10(losses[-100:])), "not of its change"),
    ("roughness", lambda losses: np.std(np.diff(np.log10(losses))), "over all losses"),
    ("roughness", lambda losses: 0.365, "does not depend on losses"),
    ("ten_times_as_long", lambda run: run(0.03, 0.999), "num_epochs is 3 and should be 30"),
    ("ten_times_as_long", lambda run: run(0.3, 0.999, 30), "lr is 0.3 and should be 0.03"),
    ("ten_times_as_long", lambda run: run(0.03, 0.999, 30)[0], "return what run returns"),
    ("ten_times_as_long", lambda run: ([1], [2]), "calls run 0 times"),
    ("larger_lr", lambda run: run(0.03, 0.999), "should be above 1"),
    ("larger_lr", lambda run: run(0.3, 0.9), "gamma is 0.9 and should be 0.999"),
    ("validation_accuracies", lambda f, a, b, lrs: train(lrs, f, a, b), "five epochs"),
    (
        "validation_accuracies",
        lambda f, a, b, lrs: train(lrs, f, a, b, num_epochs=1),
        "one epoch",
    ),
    (
        "validation_accuracies",
        lambda f, a, b, lrs: train(lrs, f, a, b, num_epochs=2, entry=0),
        "after the first epoch",
    ),
    (
        "validation_accuracies",
        lambda f, a, b, lrs: train(lrs, f, a, a, num_epochs=2),
        "the training images",
    ),
    ("validation_accuracies", lambda f, a, b, lrs: [f(a, b, lr) for lr in lrs], "should return n"),
    ("validation_accuracies", lambda f, a, b, lrs: [0.7, 0.8, 0.8], "calls train_mlp 0 times"),
    ("choose_lr", lambda lrs, accuracies: 1e-3, "does not depend on lrs"),
    ("choose_lr", lambda lrs, accuracies: int(np.argmax(accuracies)), "the place"),
    ("choose_lr", lambda lrs, accuracies: max(accuracies), "not the learning rate"),
]


@pytest.mark.parametrize(("name", "answer"), RIGHT, ids=lambda a: a if isinstance(a, str) else "")
def test_right_work_in_any_style_passes(name, answer):
    assert mistake_in(name, {name: answer}) is None


@pytest.mark.parametrize(
    ("name", "answer", "sentence"), WRONG, ids=lambda a: a if isinstance(a, str) else ""
)
def test_a_usual_mistake_is_named(name, answer, sentence):
    assert sentence in (mistake_in(name, {name: answer}) or "")


def test_every_function_has_right_and_wrong_answers_here():
    assert set(GRADED) == {name for name, *_ in RIGHT} == {name for name, *_ in WRONG}


@pytest.mark.parametrize("name", GRADED)
def test_each_listed_mistake_is_wrong_and_tells_itself_from_the_others(name):
    graded = GRADED[name]
    for key, wrong in graded.mistakes.items():
        said = mistake_in(name, {name: wrong})
        assert said and said.startswith(WORDS["en"][key])


@pytest.mark.parametrize("language", WORDS)
def test_what_is_missing_or_fails_is_one_sentence_in_every_language(language, capsys):
    def untouched(eps):
        raise NotImplementedError

    def fails(eps):
        return [][int(eps)]

    answers = ({}, untouched, 3, fails, lambda eps: None, lambda eps: "0.5", lambda eps: eps)
    for answer in answers:
        names = {"largest_lr": answer} if answer else {}
        assert d2l.check("largest_lr", names, language=language) is False
    said = capsys.readouterr().out.splitlines()
    assert len(said) == len(answers) and said[0] == said[1]
    assert "IndexError" in said[3]


def test_every_language_has_every_sentence_with_the_same_numbers():
    fields = {
        language: {key: sorted(set(_fields(text))) for key, text in words.items()}
        for language, words in WORDS.items()
    }
    assert fields["zh"] == fields["vi"] == fields["en"]
    used = {key for graded in GRADED.values() for key in graded.mistakes}
    assert used <= set(WORDS["en"])


def _fields(text):
    return [part.split("}")[0] for part in text.split("{")[1:]]


@pytest.mark.parametrize("name", ["numpy", "torch"])
def test_a_check_by_name_is_the_same_on_every_framework(name, capsys):
    fw = framework(name)
    assert fw.check("plain_count", {"plain_count": lambda gamma: (1 + gamma) / (1 - gamma)})
    assert not fw.check("plain_count", {"plain_count": lambda gamma: 1 / (1 - gamma)})
    right, wrong = capsys.readouterr().out.splitlines()
    assert right == "plain_count: right" and "is 10 and should be 19" in wrong


def test_an_unknown_name_or_language_is_refused():
    with pytest.raises(ValueError, match="no exercise asks for 'nothing'"):
        d2l.check("nothing", {})
    with pytest.raises(ValueError, match="language is 'fr'"):
        d2l.check("hessian", {}, language="fr")
