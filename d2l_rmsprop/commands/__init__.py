"""The command line: d2l-rmsprop, a file for each of its verbs."""

import os

import click

from .. import __version__
from . import backends, compare, notebook, sweep


@click.group(
    commands=[backends.backends, compare.compare, notebook.notebook, sweep.sweep],
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__)
def main() -> None:
    """RMSProp from Dive into Deep Learning, one implementation for five frameworks."""
    # TensorFlow's notices, which no one on a command line can act on
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
