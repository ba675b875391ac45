"""The command line: parse, call one verb, say one line. Everything heavy is imported when a verb runs."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from cyclopts import App, CycloptsError

from eosin import __version__
from eosin.cli.cluster import cluster
from eosin.cli.comparisons import bench, plot, report, score, study
from eosin.cli.existing import need_existing
from eosin.cli.flags import Out, Reading, given, unset
from eosin.cli.main_job import encode, predict, tissue, train
from eosin.cli.overrides import keep_line, refuse_for, take
from eosin.cli.tools import doctor, export, fetch
from eosin.cli.trusting import adapt, calibrate
from eosin.cli.viewing import view
from eosin.errors import REASON_FILE, EosinError

_QUIET, _VERBOSE = {"-q", "--quiet"}, {"-v", "--verbose"}

app = App(
    name="eosin",
    version=__version__,
    help="From an H&E slide to a spatial transcriptome, with error bars.\n\n"
    "Measured sections in, a trained model out; an image in, gene maps out. Start with: eosin demo\n\n"
    "With every command: -q says only what went wrong, -v every note, --debug shows the trace of an error.",
    version_flags=["--version"],
    suppress_keyboard_interrupt=False,  # `main` says what is kept
)


@app.command
def info(path: Path, *, reading: Reading = unset(Reading)) -> None:
    """Show what a slide, a data folder, a table of slides, a feature file, a prediction or a checkpoint holds.

    Parameters
    ----------
    path
        Any of these.
    """
    need_existing(path)
    from eosin.api.info import info as run
    from eosin.cli import show

    show.facts(run(path, **given(reading)))


for verb in (encode, train, predict, tissue):
    app.command(verb)
for verb in (score, report, plot, view, bench, study, adapt, calibrate, export, fetch, doctor):
    app.command(verb)
app.command(cluster)


@app.command(name="list")
def list_(kind: str) -> None:
    """List the `models`, `encoders`, `readers`, `protocols` or `studies` that are there."""
    from eosin.api.listing import list_things
    from eosin.cli import show

    show.rows(list_things(kind))


@app.command
def demo(*, out: Out = Path("demo"), seed: int = 0) -> None:
    """Simulate a small cohort, train STFlow, predict a held-out section, score it, and write a report."""
    from eosin.apps.demo import demo as run
    from eosin.cli import show

    show.lines(run(out, seed=seed))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code.

    0 done, 1 an error that the user can mend, 2 wrong usage, 3 some slides of a cohort failed, 130 stopped by Ctrl-C.
    """
    tokens = list(sys.argv[1:] if argv is None else argv)
    keep_line(tokens)
    debug, quiet, verbose = "--debug" in tokens, not _QUIET.isdisjoint(tokens), not _VERBOSE.isdisjoint(tokens)
    try:
        tokens = take([token for token in tokens if token not in {"--debug"} | _QUIET | _VERBOSE])
        refuse_for(next((token for token in tokens if not token.startswith("-")), None))
        _prepare_terminal(quiet=quiet, verbose=verbose)
        code = app(tokens, exit_on_error=False, print_error=True, result_action="return_value")
    except CycloptsError:
        return 2
    except EosinError as error:
        if debug:
            raise
        return _fail(str(error), 1)
    except KeyboardInterrupt:
        return _fail("stopped; what was finished is kept, and a training run goes on with --resume", 130)
    except BrokenPipeError:
        return 0
    return code if isinstance(code, int) else 0


def _prepare_terminal(*, quiet: bool, verbose: bool) -> None:
    # torch's threads spin while they wait; on a shared machine that costs tenfold. Only read when torch is loaded.
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    os.environ.setdefault("HF_HUB_VERBOSITY", "error")  # what matters becomes one line of ours
    from eosin.progress import Bars, Lines, Notes, Silent, show_with

    show = Bars() if sys.stderr.isatty() and not quiet else Lines()
    notes = next((handler for handler in logging.getLogger().handlers if isinstance(handler, Notes)), None)
    if notes is None:
        notes = Notes(show)
        logging.basicConfig(format="%(message)s", level=logging.WARNING, handlers=[notes])
    notes.show, notes.only = show, "" if verbose else "eosin"
    logging.captureWarnings(True)  # what libraries warn of is theirs to mend: shown by -v only
    level = logging.WARNING if quiet else logging.DEBUG if verbose else logging.INFO
    logging.getLogger("eosin").setLevel(level)
    show_with(Silent() if quiet else show)


def _fail(line: str, code: int) -> int:
    if place := os.environ.get(REASON_FILE):  # one of several processes: whoever started them says it, once
        Path(place).write_text(line)
    else:
        print(f"eosin: {line}", file=sys.stderr)
    return code
