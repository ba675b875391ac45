"""The commands that use patients measured after training, for a model and for any tool. `cli` takes them up."""

from __future__ import annotations

from pathlib import Path

from eosin.cli.comparisons import Scale
from eosin.cli.existing import need_checkpoint, need_existing
from eosin.cli.flags import OneReading, Out, Predicting, given, unset
from eosin.errors import EosinError
from eosin.plurals import counted


def calibrate(
    predictions: list[Path],
    /,
    *,
    out: Out,
    truth: Path | None = None,
    apply: Path | None = None,
    scale: Scale = None,
    calibrate: str = "levels",
    reading: OneReading = unset(OneReading),
) -> None:
    """Learn intervals and verdicts from predictions of measured sections, of any tool; or give them to a prediction.

    eosin calibrate P1.h5ad P2.h5ad --truth DATA -o CAL.safetensors, then
    eosin calibrate Q.h5ad --apply CAL.safetensors -o R.h5ad, or eosin predict ... --calibration CAL.safetensors

    Parameters
    ----------
    predictions
        .h5ad files of eosin or of another tool (values in X, genes in var_names, places in obsm["spatial"]), of
        sections that their model has not seen.
    out
        The .safetensors to write; with --apply, the .h5ad.
    truth
        Data folder with the measured sections; patients are the units.
    apply
        A calibration to give to one prediction.
    calibrate
        `levels`: levels of slides and noise, for any number of patients; `conformal`: distribution-free, of 9 or more.
    """
    need_existing(*predictions, truth, apply)
    if (truth is None) == (apply is None):
        fix = "give --truth DATA to learn a calibration, or --apply CAL to use one"
        raise EosinError(f"{'neither' if truth is None else 'both'} of --truth and --apply given", fix=fix)
    unused = [] if apply is None else [name for name in given(reading) if name != "mpp"]
    if apply is not None and calibrate != "levels":
        unused.append("calibrate")
    if unused:
        flags = ", ".join("--" + name.replace("_", "-") for name in unused)
        raise EosinError(f"{flags} has no use with --apply", fix="leave it out, or learn a calibration with --truth")
    from eosin.api import calibrate as api
    from eosin.cli import show

    if apply is not None:
        if len(predictions) > 1:
            raise EosinError(f"{len(predictions)} predictions for one --out", fix="give them one by one")
        done = api.apply_calibration(apply, predictions[0], scale=scale, mpp=reading.mpp, out=out)
        assert done.error_bars is not None
        show.lines([f"{done.section}: intervals for a {done.error_bars.kind}, {done.error_bars.basis}; in {out}"])
        return
    assert truth is not None
    found = api.calibrate(predictions, truth, scale=scale, calibrate=calibrate, out=out, **given(reading))
    genes, basis = found.errors.new.genes, found.errors.new.basis
    usable = 0 if genes is None else genes.verdicts.count("map")
    size = ", ".join(counted(len(found.made_of[what]), what[:-1]) for what in ("sections", "patients"))
    show.lines([f"{counted(len(found.panel), 'gene')}, {size}: {basis}; {usable} can be read as maps; in {out}"])


def adapt(
    run: Path,
    target: Path,
    *,
    out: Out,
    section: str | None = None,
    spots: str | None = None,
    seed: int = 0,
    predicting: Predicting = unset(Predicting),
    reading: OneReading = unset(OneReading),
) -> None:
    """Update a trained model by a few measured spots of a patient, or one section: level, mean, intervals; in seconds.

    Parameters
    ----------
    run
        Checkpoint folder; it stays as it is.
    target
        Measured section, or a data folder.
    out
        Checkpoint folder to write; it predicts this patient better, and others as before.
    section
        Which section of a data folder.
    spots
        A number of spots, drawn at random, or a table with one name a row; by default all that are measured.
    seed
        Of the random spots.
    """
    need_checkpoint(run)
    need_existing(target)
    from eosin.api.adapt import adapt as make
    from eosin.cli import show

    options = given(predicting) | given(reading)
    done = make(run, target, section=section, spots=spots, seed=seed, out=out, **options)
    assert done.adaptation is not None
    last = done.adaptation.measured[-1]
    measured = f"{counted(len(last.rows), 'spot')} of section {last.section.name}"
    show.lines([f"{done.name}: patient {last.section.patient} by {measured}; in {out}"])
