"""The options that compare and sweep share: what to train on, and how."""

import click

_OPTIONS = [
    click.option(
        "--data",
        default="stand-in",
        show_default=True,
        type=click.Choice(["stand-in", "airfoil", "linear"]),
        help="What to train on.",
    ),
    click.option("--eps", default=1e-6, show_default=True, help="Epsilon, at least 0."),
    click.option(
        "--epochs",
        default=2,
        show_default=True,
        type=click.IntRange(min=1),
        help="Passes over the data.",
    ),
    click.option(
        "--batch-size",
        default=10,
        show_default=True,
        type=click.IntRange(min=1),
        help="Examples in a minibatch.",
    ),
    click.option(
        "--seed",
        default=0,
        show_default=True,
        type=click.IntRange(min=0),
        help="Seed of the start and of the order.",
    ),
]


def training_options(command):
    """Give a command the options --data, --eps, --epochs, --batch-size and --seed."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command
