"""Files of weights: find them, download them from the hub, read them, and load them into a network."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path

from torch import Tensor, nn

from eosin.errors import EosinError

HUB_FILE = "model.safetensors"
_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")
_CONVERT = "convert them with torch.load(..., weights_only=True) and safetensors.torch.save_file: a pickle runs code"


def locate(weights: str, revision: str | None = None) -> Path:
    """The path of a file of weights: given, the only one in a folder, or downloaded once from the hub to its cache.

    Parameters
    ----------
    weights
        A file, a folder, or ORGANISATION/MODEL on the hub.
    revision
        Commit on the hub.

    Raises
    ------
    EosinError
        The file is missing or a pickle, the folder does not hold exactly one, or the download fails.
    """
    path = Path(weights)
    if path.is_dir():
        return _in_folder(path)
    if path.is_file() or path.suffix == ".safetensors" or not _HUB_NAME.fullmatch(weights):
        return _local(path, fix="give a .safetensors file or ORGANISATION/MODEL")
    return fetch(weights, HUB_FILE, revision)


def _local(file: Path, *, fix: str) -> Path:
    """The file itself, if it is there and is safetensors; `fix` says what to do where it is not there."""
    if not file.is_file():
        raise EosinError("no such file of weights", file=file, fix=fix)
    if file.suffix != ".safetensors":
        raise EosinError("weights are read from .safetensors only", file=file, fix=_CONVERT)
    return file


def _in_folder(folder: Path) -> Path:
    every = sorted(folder.glob("*.safetensors"))
    candidates = [file for file in every if file.name == HUB_FILE] or every
    if len(candidates) == 1:
        return candidates[0]
    if candidates:
        names = ", ".join(file.name for file in candidates[:4])
        raise EosinError(f"holds {len(candidates)} files of weights ({names})", file=folder, fix="name the file itself")
    pickles = sorted(file.name for file in folder.iterdir() if file.suffix in {".bin", ".pth", ".pt", ".ckpt"})
    if pickles:
        raise EosinError(f"holds weights only as a pickle ('{pickles[0]}')", file=folder, fix=_CONVERT)
    raise EosinError("holds no .safetensors file", file=folder, fix="give the file or folder of the weights")


def fetch(name: str, file: str, revision: str | None = None, *, gated_fix: str | None = None) -> Path:
    """A file of a model on the hub, downloaded once.

    Parameters
    ----------
    name
        ORGANISATION/MODEL.
    file
        Its name in the model's repository.
    revision
        Commit; the newest where None.
    gated_fix
        What to do where access must be applied for; a general advice where None.

    Raises
    ------
    EosinError
        The model is gated or unknown, has no such file, or the download fails.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, GatedRepoError, HfHubHTTPError, RepositoryNotFoundError

    try:
        return Path(hf_hub_download(name, file, revision=revision))
    except GatedRepoError as error:
        fix = gated_fix or "ask for access on its page and log in with a token, or use an open encoder such as 'stain'"
        raise EosinError(f"the weights '{name}' are gated", fix=fix) from error
    except RepositoryNotFoundError as error:
        raise EosinError(f"the hub has no model '{name}'", fix="check the name, or log in if it is private") from error
    except EntryNotFoundError as error:
        fix = "check the connection, or give a local .safetensors file"
        raise EosinError(f"no file {file} of '{name}' in the cache or on the hub", fix=fix) from error
    except (HfHubHTTPError, OSError) as error:
        fix = "check the connection, or give a local .safetensors file"
        raise EosinError(f"the weights '{name}' cannot be fetched ({error})", fix=fix) from error


def read_tensors(file: Path) -> dict[str, Tensor]:
    """Tensors of a .safetensors file by name; floating-point ones become float32.

    Raises
    ------
    EosinError
        The file is damaged or not in the format.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        given = load_file(file)
    except (SafetensorError, OSError) as error:
        raise EosinError(
            f"not readable as safetensors ({error})", file=file, fix="fetch or convert it again"
        ) from error
    return {name: value.float() if value.is_floating_point() else value for name, value in given.items()}


def heads(model: nn.Module) -> tuple[str, ...]:
    """Prefixes of the tensors of a timm model's classifier, which a file may hold and an encoder does not use."""
    named = getattr(model, "pretrained_cfg", {}).get("classifier") or ()
    return tuple(f"{head}." for head in ((named,) if isinstance(named, str) else named))


def load_local(model: nn.Module, file: str | Path, what: str, *, absent_fix: str, unfit_fix: str) -> int:
    """Start a model from a local file; tensors that the model does not have are left out, and counted.

    Parameters
    ----------
    model
        Changed in place.
    file
        A .safetensors file. The hub is not asked.
    what
        What the model is called in an error.
    absent_fix, unfit_fix
        What to do where there is no such file, and where it is of another model.

    Raises
    ------
    EosinError
        No such file, not safetensors, tensors missing or of another shape.
    """
    file = _local(Path(file), fix=absent_fix)
    given = read_tensors(file)
    fit(model, given, what, file=file, optional=None, fix=unfit_fix)
    return len(set(given) - set(model.state_dict()))


def fit(
    model: nn.Module,
    given: Mapping[str, Tensor],
    what: str,
    *,
    file: Path,
    optional: Collection[str] | None = (),
    fix: str = "give the architecture that the weights were made for",
) -> None:
    """Load tensors into a model; any difference but for `optional` names in the file is an error.

    Batch normalisation's count of batches is neither needed nor taken.

    Parameters
    ----------
    model
        Changed in place.
    given
        Tensors under the model's own names.
    what
        What the model is called in an error.
    file
        Where the tensors are from.
    optional
        Prefixes of names that may be in the file and not in the model; None: any name may.
    fix
        What to do where the tensors are of another model.

    Raises
    ------
    EosinError
        A tensor is missing, has another shape, or is unknown to the model.
    """
    state = model.state_dict()
    wanted = {name: value for name, value in state.items() if not name.endswith("num_batches_tracked")}
    extra = [] if optional is None else [n for n in given if n not in state and not n.startswith(tuple(optional))]
    missing = [n for n in wanted if n not in given]
    unlike = [n for n in wanted if n in given and given[n].shape != wanted[n].shape]
    for names, fault in ((missing, "lack"), (unlike, "hold in another shape"), (extra, "hold, unknown to it,")):
        if names:
            raise EosinError(
                f"the weights {fault} {len(names)} tensors of {what}, first '{names[0]}'",
                file=file,
                fix=fix,
            )
    model.load_state_dict({name: given[name] for name in wanted}, strict=False)
