"""The command line: parse, call one verb, say one line. Everything heavy is imported when a verb runs."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, CycloptsError, Parameter

from eosin import __version__
from eosin.errors import EosinError

app = App(
    name="eosin",
    version=__version__,
    help="From an H&E slide to a spatial transcriptome, with error bars.\n\n"
    "Measured sections in, a trained model out; an image in, gene maps out. Start with: eosin demo",
    version_flags=["--version"],
    suppress_keyboard_interrupt=False,  # `main` says what is kept
)

Mpp = Annotated[float | None, Parameter(help="µm per pixel at full resolution, for images that do not say it")]
Reader = Annotated[str | None, Parameter(help="reader to use; by default the one that recognises the layout")]
Out = Annotated[Path, Parameter(name=["--out", "-o"])]
Overrides = dict[str, dict[str, Any]]

_given: Overrides = {}
"""Settings given as --model.NAME VALUE and --train.NAME VALUE; taken from the line before it is parsed."""


@app.command
def info(path: Path, *, reader: Reader = None, mpp: Mpp = None) -> None:
    """Show what a slide, a data folder, a prediction or a checkpoint holds."""
    from eosin import facts, show

    show.facts(facts.info(path, reader=reader, mpp=mpp))


@app.command
def encode(
    data: Path,
    *,
    out: Out = Path("features"),
    encoder: str = "stain",
    sections: list[str] | None = None,
    reader: Reader = None,
    mpp: Mpp = None,
) -> None:
    """Encode every section's spots into one feature file each; skips what is done.

    Parameters
    ----------
    data
        Folder of measured sections.
    out
        Folder of the feature files.
    encoder
        `stain` needs no weights; `timm:ARCH@WEIGHTS.safetensors` is any timm model (see: eosin list encoders).
    sections
        Only these sections (repeat the flag).
    """
    from eosin import verbs

    done = verbs.encode(data, out=out, encoder=encoder, sections=sections, reader=reader, mpp=mpp)
    _say(f"{len(done)} sections, {sum(map(len, done))} spots in {out}")


@app.command
def train(
    data: Path,
    *,
    out: Out,
    model: str = "stflow",
    genes: str = "var:50",
    transform: str = "log1p",
    features: Path | None = None,
    encoder: str = "stain",
    settings: Path | None = None,
    seed: int = 0,
    resume: Annotated[bool, Parameter(negative="")] = False,
    sections: list[str] | None = None,
    reader: Reader = None,
    mpp: Mpp = None,
) -> None:
    """Train a model on measured sections. Any setting: --model.n-layers 4 --train.epochs 100.

    Parameters
    ----------
    data
        Folder of measured sections.
    out
        Checkpoint folder, written after every epoch; Ctrl-C leaves a usable one.
    model
        A name with an optional preset, as `stflow`, `stflow:paper`, `ridge` (see: eosin list models).
    genes
        Panel: `var:50`, `hvg:50`, `hmhvg:200`, a file of names, or names by commas.
    transform
        Scale of the values: `log1p`, `log1p_cp10k` or `log2p1`.
    features
        Folder of feature files; what is missing is encoded into `eosin-cache` if this is not given.
    settings
        TOML file with tables [model] and [train]; flags go over it.
    resume
        Continue the run that lies in OUT, to the same weights as if it had not been stopped.
    sections
        Train on these sections only (repeat the flag).
    """
    from eosin import verbs
    from eosin.config import read_toml

    tables = _over(read_toml(settings) if settings else {})
    trained = verbs.train(
        data,
        features=features,
        encoder=encoder,
        model=model,
        genes=genes,
        transform=transform,
        settings=tables,
        seed=seed,
        out=out,
        resume=resume,
        sections=sections,
        reader=reader,
        mpp=mpp,
    )
    held = trained.metrics.get("pcc_held_out")
    said = "" if held is None else f", correlation {held:.3f} on the held-out group of the training sections"
    _say(f"{model}: {len(trained.panel)} genes, {trained.model.n_parameters:,} parameters{said}; in {out}")


@app.command
def predict(
    run: Path,
    target: Path,
    *,
    out: Out,
    draws: int = 16,
    seed: int = 0,
    section: str | None = None,
    features: Path | None = None,
    pitch_um: float = 100.0,
    reader: Reader = None,
    mpp: Mpp = None,
) -> None:
    """Predict a section's expression with a trained model; needs an image, no expression.

    Parameters
    ----------
    run
        Checkpoint folder.
    target
        Measured section (its spots are used, its counts are not) or a bare image.
    out
        The .h5ad to write: mean in X, sd and quantiles in layers, coordinates and image for scanpy.
    draws
        Samples from the model; their spread is the error bar.
    section
        Which section of a data folder.
    pitch_um
        Distance of the spots that are laid on a bare image.
    """
    from eosin import verbs

    done = verbs.predict(
        run,
        target,
        draws=draws,
        seed=seed,
        section=section,
        features=features,
        pitch_um=pitch_um,
        reader=reader,
        mpp=mpp,
        out=out,
    )
    _say(f"{done.section}: {len(done.spots)} spots, {len(done.panel)} genes, {done.n_draws} draws in {out}")


@app.command
def score(prediction: Path, truth: Path, *, reader: Reader = None, mpp: Mpp = None) -> None:
    """Compare a predicted .h5ad with the measured section."""
    from eosin import show, verbs

    show.facts(verbs.score(prediction, truth, reader=reader, mpp=mpp))


@app.command
def report(
    path: Path,
    *,
    out: Out,
    truth: Path | None = None,
    genes: list[str] | None = None,
    reader: Reader = None,
    mpp: Mpp = None,
) -> None:
    """Write one offline HTML page of a prediction (.h5ad) or of a grid (scores.json).

    Parameters
    ----------
    truth
        Data folder with the measured section: adds its maps and the scores.
    genes
        Genes to show as maps (repeat the flag); by default the best, a middling and the worst predicted ones.
    """
    from eosin import verbs

    _say(f"open {verbs.report(path, out=out, truth=truth, genes=genes, reader=reader, mpp=mpp)} in a browser")


@app.command
def bench(
    data: Path,
    *,
    out: Out,
    models: str | None = None,
    encoder: str = "stain",
    genes: str | None = None,
    transform: str | None = None,
    split: str | None = None,
    protocol: str | None = None,
    seeds: int = 1,
    draws: int = 16,
    settings: Path | None = None,
    features: Path | None = None,
    keep_predictions: Annotated[bool, Parameter(negative="")] = False,
    allow_leak: Annotated[bool, Parameter(negative="")] = False,
    dry_run: Annotated[bool, Parameter(negative="")] = False,
    reader: Reader = None,
    mpp: Mpp = None,
) -> None:
    """Train, predict and score models on held-out sections; resumable; a table, and OUT/scores.json.

    Parameters
    ----------
    models
        Names by commas, with optional presets: `ridge,stflow,stflow:paper`; `gene-mean,ridge,stflow` by default. The
        tuned ridge is added where it is not named.
    encoder
        Encoders by commas.
    genes
        Panel, `var:50` by default: `var:50`, `hvg:50`, `hmhvg:200`, a file of names, or names by commas.
    transform
        Scale of the values: `log1p` (default), `log1p_cp10k` or `log2p1`.
    split
        `leave-section-out` (default) or `leave-patient-out`, of all or of some as `leave-section-out(C2,C3,C4)`;
        or `C2,C3,C4,C5:C6` (train:test). Several by `;`.
    protocol
        A named protocol (see: eosin list protocols) or a .toml file, instead of split, genes and transform; NAME@HASH
        insists on its content.
    settings
        TOML file with tables per model, as ["stflow".train].
    keep_predictions
        Also write every prediction as .h5ad into OUT.
    allow_leak
        Go on where test data is known before the test; every result is stamped with it.
    dry_run
        Train nothing; list the cells with their parameters and an estimate of time and memory.
    """
    from eosin import show, verbs

    scores = verbs.bench(
        data,
        models=models.split(",") if models else None,
        encoders=encoder.split(","),
        genes=genes,
        transform=transform,
        split=split,
        protocol=protocol,
        seeds=seeds,
        draws=draws,
        settings=settings,
        features=features,
        out=out,
        keep_predictions=keep_predictions,
        allow_leak=allow_leak,
        dry_run=dry_run,
        reader=reader,
        mpp=mpp,
    )
    if dry_run:
        show.plan(scores)
        return
    show.bench(scores)
    _say(f"all metrics in {out / 'scores.json'}; as a page: eosin report {out / 'scores.json'} -o bench.html")


@app.command
def study(
    name: str,
    data: Path,
    *,
    out: Out,
    preset: str | None = None,
    encoder: str = "stain",
    genes: str = "var:50",
    split: str | None = None,
    seeds: int = 1,
    draws: int = 16,
    features: Path | None = None,
    allow_leak: Annotated[bool, Parameter(negative="")] = False,
    reader: Reader = None,
    mpp: Mpp = None,
) -> None:
    """Run one of the papers' tables on your sections (see: eosin list studies); resumable; writes OUT/scores.json.

    Parameters
    ----------
    name
        Name of the study, as `refinement-steps`, `priors`, `ablations` or `panel-sizes`.
    preset
        `paper` or `small`, for every model of the study that has it; their defaults otherwise.
    encoder
        Encoders by commas.
    genes
        Panel, where the study does not vary it: `var:50`, `hvg:50`, `hmhvg:200`, a file of names, or names by commas.
    split
        As for `eosin bench`: `leave-section-out` (default), `leave-patient-out`, or train:test.
    draws
        Draws, where the study does not vary them.
    allow_leak
        Go on where test data is known before the test; every result is stamped with it.
    """
    from eosin import show, verbs

    given = {"preset": preset, "encoders": encoder.split(","), "genes": genes, "split": split, "features": features}
    found = verbs.study(
        data, name, **given, seeds=seeds, draws=draws, out=out, allow_leak=allow_leak, reader=reader, mpp=mpp
    )
    show.study(found)
    _say(f"all metrics in {out / 'scores.json'}")


@app.command(name="list")
def list_(kind: str) -> None:
    """List the `models`, `encoders`, `readers`, `protocols` or `studies` that are there."""
    from eosin import facts, show

    show.rows(facts.list_things(kind))


@app.command
def demo(*, out: Out = Path("demo"), seed: int = 0) -> None:
    """Simulate a small cohort, train STFlow, predict a held-out section, score it, and write a report."""
    from eosin import show
    from eosin.demo import demo as run

    show.lines(run(out, seed=seed))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code (0 done, 1 an error the user can mend, 2 wrong usage)."""
    tokens = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in tokens
    try:
        tokens = _take_overrides([token for token in tokens if token != "--debug"])
        _prepare_terminal()
        app(tokens, exit_on_error=False, print_error=True, result_action="return_value")
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
    return 0


def _take_overrides(tokens: list[str]) -> list[str]:
    """Take --model.NAME VALUE and --train.NAME VALUE out of the line and keep them for `_over`."""
    _given.clear()
    kept: list[str] = []
    rest = iter(tokens)
    for token in rest:
        table, dot, name = token.removeprefix("--").partition(".")
        if not (token.startswith("--") and dot and table in {"model", "train"}):
            kept.append(token)
            continue
        name, equals, value = name.partition("=")
        if not equals:
            value = next(rest, None)
        if value is None:
            raise EosinError(f"setting {token} has no value", fix=f"write {token} VALUE")
        _given.setdefault(table, {})[name.replace("-", "_")] = _literal(value)
    return kept


def _literal(text: str) -> Any:
    """A flag's text as TOML would read it: numbers, true, false, arrays; `none`; else the text itself."""
    import tomllib

    if text.lower() == "none":
        return None
    try:
        return tomllib.loads(f"x = {text}")["x"]
    except tomllib.TOMLDecodeError:
        return text


def _over(tables: Overrides) -> Overrides:
    """Settings of a file with the flags' on top."""
    merged = {table: {k.replace("-", "_"): v for k, v in values.items()} for table, values in tables.items()}
    for table, values in _given.items():
        merged.setdefault(table, {}).update(values)
    return merged


def _prepare_terminal() -> None:
    # torch's threads spin while they wait; on a shared machine that costs tenfold. Only read when torch is loaded.
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    from eosin.progress import Bars, Lines, show_with

    logging.basicConfig(format="%(message)s", level=logging.WARNING, stream=sys.stderr)
    logging.getLogger("eosin").setLevel(logging.INFO)
    show_with(Bars() if sys.stderr.isatty() else Lines())


def _fail(line: str, code: int) -> int:
    print(f"eosin: {line}", file=sys.stderr)
    return code


def _say(line: str) -> None:
    print(line)
