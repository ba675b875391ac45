"""`timm`: any image model of timm, with weights from a local safetensors file or a model hub.

`timm:ARCH@WEIGHTS`, as `timm:resnet50@weights/resnet50.safetensors` or `timm:resnet50@timm/resnet50.a1_in1k`. The
classifier in the file, if any, is left out; everything else must fit the architecture exactly.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from eosin.config import Settings
from eosin.encoders.base import ENCODERS, Encoder, EncoderCard, Floats, View, spec_of
from eosin.encoders.workers import over_rows
from eosin.errors import EosinError
from eosin.files import sha256_file

_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")
_UNKNOWN = "unknown: see the source of the weights"


class TimmSettings(Settings):
    arch: str = Field(description="name of the architecture in timm")
    weights: str = Field(description="a .safetensors file, or ORGANISATION/MODEL on the hub")
    revision: str | None = Field(None, description="commit on the hub; give one, or the numbers can change")
    widths_um: Floats = Field(
        (112.0,),
        min_length=1,
        description="fields of view, µm, features side by side; 112 µm at 224 px is 0.5 µm/px, which pathology models "
        "know; a model of photographs gains from wider ones, as 165,330",
    )
    px: int | None = Field(None, ge=16, description="side of the window, pixels; the architecture's own unless given")
    mean: Floats | None = Field(
        None, description="mean of red, green, blue on 0-1; the architecture's own unless given"
    )
    std: Floats | None = Field(None, description="their standard deviation; the architecture's own unless given")
    pad_type: str | None = Field(None, description="'same' for weights converted from TensorFlow")
    licence: str = Field(_UNKNOWN, description="licence of the weights, carried into every result")
    commercial: bool = Field(False, description="whether that licence allows commercial use")


class Timm(Encoder):
    """A timm model without its classifier, over one field of view or several."""

    def __init__(self, settings: TimmSettings):
        file = _locate(settings)
        model = _architecture(settings)
        _load(model, file, settings.arch)
        self._model = model.eval().requires_grad_(False)
        self._settings = settings
        own: Mapping[str, Any] = model.pretrained_cfg
        self._mean = _triple(settings.mean or own.get("mean"), "mean")
        self._std = _triple(settings.std or own.get("std"), "std")
        px = settings.px or own["input_size"][-1]
        self.views = tuple(View(width, px) for width in settings.widths_um)
        self._hash = sha256_file(file)
        self.spec = spec_of(f"timm:{settings.arch}@{settings.weights}", settings, beside=("arch", "weights"))
        self.card = EncoderCard(
            name=f"timm:{settings.arch}",
            source=settings.weights,
            licence=settings.licence,
            commercial=settings.commercial,
            gated=False,
            width=self._width(),
            citation="Wightman, PyTorch Image Models, doi 10.5281/zenodo.4414861; and the authors of the weights",
        )

    @property
    def key(self) -> str:
        import timm

        parts = {
            "weights": self._hash,
            "views": ",".join(map(str, self.views)),
            "mean": ",".join(f"{m:.9g}" for m in self._mean),
            "std": ",".join(f"{s:.9g}" for s in self._std),
            "pad": self._settings.pad_type or "default",
            "resize": "bicubic",
            "timm": timm.__version__.split(".")[0],
        }
        return f"timm:{self._settings.arch};" + ";".join(f"{name}={value}" for name, value in parts.items())

    def to(self, device: torch.device | str) -> Timm:
        self._model.to(device)
        return super().to(device)

    @torch.inference_mode()
    def encode(self, tiles: Sequence[Tensor]) -> Tensor:
        self.check_tiles(tiles)
        return over_rows(self._windows, [tile.to(self.device) for tile in tiles])

    def _windows(self, *tiles: Tensor) -> Tensor:
        mean, std = (torch.tensor(v, device=self.device).view(1, 3, 1, 1) for v in (self._mean, self._std))
        images = (tile.permute(0, 3, 1, 2).float().div_(255) for tile in tiles)
        return torch.cat([self._model((image - mean) / std).float() for image in images], 1)

    def _width(self) -> int:
        px = self.views[0].px
        try:
            shape = self.encode([torch.zeros(1, px, px, 3, dtype=torch.uint8)] * len(self.views)).shape
        except (RuntimeError, AssertionError) as error:
            raise EosinError(f"timm model '{self._settings.arch}' refuses windows of {px} px ({error})") from error
        if len(shape) != 2:
            raise EosinError(f"timm model '{self._settings.arch}' gives {tuple(shape)} and not one vector per window")
        return shape[1]


def _architecture(settings: TimmSettings) -> nn.Module:
    import timm

    extra = {} if settings.pad_type is None else {"pad_type": settings.pad_type}
    if settings.arch.partition(".")[0] not in timm.list_models():
        near = ", ".join(timm.list_models(f"*{settings.arch[:8]}*")[:3])
        raise EosinError(
            f"timm {timm.__version__} has no architecture '{settings.arch}'",
            fix=f"did you mean one of {near}?" if near else "see timm.list_models()",
        )
    try:
        return timm.create_model(settings.arch, pretrained=False, num_classes=0, **extra)
    except (TypeError, ValueError, AssertionError, RuntimeError) as error:
        raise EosinError(f"timm cannot make '{settings.arch}' with these settings ({error})") from error


def _locate(settings: TimmSettings) -> Path:
    """The weights' file: local, or fetched from the hub once into its cache."""
    path = Path(settings.weights)
    if path.is_file():
        if path.suffix != ".safetensors":
            raise EosinError(
                "weights are read from .safetensors only", file=path, fix="convert them: a pickle runs code"
            )
        return path
    if path.suffix == ".safetensors" or not _HUB_NAME.fullmatch(settings.weights):
        raise EosinError("no such file of weights", file=path, fix="give a .safetensors file or ORGANISATION/MODEL")
    return _fetch(settings.weights, settings.revision)


def _fetch(name: str, revision: str | None) -> Path:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, GatedRepoError, HfHubHTTPError, RepositoryNotFoundError

    try:
        return Path(hf_hub_download(name, "model.safetensors", revision=revision))
    except GatedRepoError as error:
        fix = "ask for access on its page and log in with a token, or use an open encoder such as 'stain'"
        raise EosinError(f"the weights '{name}' are gated", fix=fix) from error
    except RepositoryNotFoundError as error:
        raise EosinError(f"the hub has no model '{name}'", fix="check the name, or log in if it is private") from error
    except EntryNotFoundError as error:
        fix = "check the connection, or give a local .safetensors file"
        raise EosinError(f"no file model.safetensors of '{name}' in the cache or on the hub", fix=fix) from error
    except (HfHubHTTPError, OSError) as error:
        fix = "check the connection, or give a local .safetensors file"
        raise EosinError(f"the weights '{name}' cannot be fetched ({error})", fix=fix) from error


def _load(model: nn.Module, file: Path, arch: str) -> None:
    """Put the file's tensors into the model, but for the classifier; any other difference is an error."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        given = load_file(file)
    except (SafetensorError, OSError) as error:
        raise EosinError(
            f"not readable as safetensors ({error})", file=file, fix="fetch or convert it again"
        ) from error
    heads = model.pretrained_cfg.get("classifier") or ()
    heads = (heads,) if isinstance(heads, str) else tuple(heads)
    given = {name: value.float() if value.is_floating_point() else value for name, value in given.items()}
    wanted = model.state_dict()
    extra = [n for n in given if n not in wanted and not n.startswith(tuple(f"{head}." for head in heads))]
    missing = [n for n in wanted if n not in given and not n.endswith("num_batches_tracked")]
    unlike = [n for n in wanted if n in given and given[n].shape != wanted[n].shape]
    for names, what in ((missing, "lack"), (unlike, "hold in another shape"), (extra, "hold beside it")):
        if names:
            raise EosinError(
                f"the weights {what} {len(names)} tensors of timm model '{arch}', first '{names[0]}'".replace(
                    "hold beside it", "hold, unknown to it,"
                ),
                file=file,
                fix="give the architecture that the weights were made for",
            )
    model.load_state_dict({n: given[n] for n in wanted if n in given}, strict=False)


def _triple(values: Sequence[float] | None, name: str) -> tuple[float, ...]:
    numbers = tuple(map(float, values or ()))
    if len(numbers) != 3 or (name == "std" and min(numbers) <= 0):
        raise EosinError(f"encoder 'timm': '{name}' is {numbers}", fix="give three numbers, for red, green and blue")
    return numbers


@ENCODERS.register("timm")
def build(argument: str = "", **settings: Any) -> Timm:
    """A timm encoder from `ARCH@WEIGHTS`, or from the settings `arch` and `weights`."""
    arch, _, weights = argument.partition("@")
    named = {name: value for name, value in (("arch", arch), ("weights", weights)) if value}
    missing = [name for name in ("arch", "weights") if name not in {**named, **settings}]
    if missing:
        raise EosinError(
            f"encoder 'timm' needs its {' and '.join(missing)}",
            fix="ask for it as timm:ARCH@WEIGHTS.safetensors or timm:ARCH@ORGANISATION/MODEL",
        )
    return Timm(TimmSettings.of(named, settings, source="encoder 'timm'"))
