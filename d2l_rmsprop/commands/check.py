"""The command ``d2l-rmsprop check``."""

import json
from pathlib import Path

import click

from ..backend import BACKENDS

EXIT = {"right": 0, "wrong": 1, "cannot be checked": 2}

backend_option = click.option(
    "--backend",
    "backends",
    multiple=True,
    type=click.Choice(BACKENDS),
    help="A framework to check on; repeatable.  [default: those that the file imports; if it "
    "imports none, or is on d2l's layer, every installed one]",
)
timeout_option = click.option(
    "--timeout",
    type=click.FloatRange(min=0.1, max=3600),
    default=10,
    show_default=True,
    help="Seconds that the code may run on one framework.",
)


def say_missing(missing: list[str]) -> None:
    """Say on stderr what the sandbox does not hold on this machine."""
    for what in missing:
        click.echo(f"the sandbox cannot keep the code from {what}", err=True)


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@backend_option
@timeout_option
@click.option("--lang", type=click.Choice(["en", "zh", "vi"]), help="Language of the sentence.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def check(
    file: Path, backends: tuple[str, ...], timeout: float, lang: str | None, as_json: bool
) -> None:
    """Check a file, .py or .ipynb, that defines rmsprop(params, states, hyperparams).

    It is judged by what it computes on fresh random problems, in a sandbox. Exit code 0: right; 1:
    wrong; 2: it cannot be checked.
    """
    from ..marking.verdict import check_file
    from ..marking.sandbox import SandboxError

    try:
        report, missing = check_file(file, backends, language=lang, seconds=timeout)
    except SandboxError as error:
        raise click.UsageError(str(error)) from None
    say_missing(missing)
    if as_json:
        click.echo(json.dumps(report.as_json(), ensure_ascii=False))
    else:
        click.echo(f"{file}: {report.verdict}" + (f": {report.mistake}" if report.mistake else ""))
    raise SystemExit(EXIT[report.verdict])
