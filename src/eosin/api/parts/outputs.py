"""What a verb may write to: checked before anything is read or computed, so that no hour is spent in vain."""

from __future__ import annotations

from pathlib import Path

from eosin.errors import EosinError


def need_suffix(out: str | Path | None, suffixes: tuple[str, ...], what: str) -> None:
    """Refuse a file to write whose name does not end as its format does.

    Parameters
    ----------
    out
        The file; None is not checked.
    suffixes
        Allowed endings, lower case, the usual one first.
    what
        What is written, as `a prediction is an AnnData file`.

    Raises
    ------
    EosinError
        Another ending, or a folder of that name.
    """
    if out is None:
        return
    if Path(out).suffix.lower() not in suffixes:
        raise EosinError(what, file=out, fix=f"let the name of --out end in {suffixes[0]}")
    if Path(out).is_dir():
        raise EosinError("is a folder, and a file is to be written", file=out, fix="choose another --out")


def need_folder(out: str | Path | None) -> None:
    """Refuse a folder to write where a file lies.

    Raises
    ------
    EosinError
        There is a file of that name.
    """
    if out is not None and Path(out).exists() and not Path(out).is_dir():
        raise EosinError("is a file, and a folder is to be written", file=out, fix="choose another --out")


def need_other_file(out: str | Path | None, source: object) -> None:
    """Refuse to write over the file that is read.

    Raises
    ------
    EosinError
        Both are the same file.
    """
    if out is None or not isinstance(source, str | Path) or not Path(out).exists():
        return
    if Path(out).resolve() == Path(source).resolve():
        raise EosinError("would be written over itself", file=out, fix="choose another --out")


_GO_ON = "continue it with --resume, replace it with --overwrite, or choose another --out"


def need_no_checkpoint(out: str | Path | None, *, fix: str = _GO_ON) -> None:
    """Refuse a checkpoint folder in which a trained model lies.

    Parameters
    ----------
    out
        The folder; None is not checked.
    fix
        What the command can do about it.

    Raises
    ------
    EosinError
        A model lies there.
    """
    if out is not None and (Path(out) / "model.safetensors").is_file():
        raise EosinError("holds a trained model", file=out, fix=fix)
