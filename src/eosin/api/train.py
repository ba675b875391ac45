"""`eosin.train`: a model from measured sections."""

from __future__ import annotations

from pathlib import Path

from eosin import engine
from eosin.api.parts.encoded import Settings, shows_turned, with_features
from eosin.api.parts.outputs import need_folder, need_no_checkpoint
from eosin.api.parts.sections import Data, sections_of
from eosin.config import read_toml
from eosin.encoders.parts.field_of_view import with_tile
from eosin.engine import Trained
from eosin.errors import EosinError
from eosin.features import TileMatch
from eosin.genes import choose_panel, tolerant
from eosin.options import FeatureOptions, PanelOptions, ReadOptions, takes_options


@takes_options(hide=("symmetries", "device", "precision"))
def train(
    data: Data,
    *,
    model: str = "stflow",
    settings: Settings | str | Path | None = None,
    seed: int = 0,
    out: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    choosing: PanelOptions = PanelOptions(),
    encoding: FeatureOptions = FeatureOptions(),
    reading: ReadOptions = ReadOptions(),
) -> Trained:
    """Train a model on measured sections; what is not encoded yet is encoded first, into a cache folder.

    The model remembers its encoder and its field of view, and `predict` encodes alike.

    Parameters
    ----------
    data
        A data folder, or sections that were read.
    model
        A name with an optional preset, as `stflow`, `stflow:paper`, `ridge`.
    settings
        Tables `model` and `train`, or a TOML file that has them.
    seed
        Of weights, order and noise of training.
    out
        Checkpoint folder, written every epoch.
    resume
        Continue the run that lies in `out`, to the same weights as if it had not been stopped.
    overwrite
        Replace the trained model that lies in `out`.

    Raises
    ------
    EosinError
        An unknown model or setting, genes that a section lacks, features that are not there or may not be used;
        a trained model lies in `out`.

    Examples
    --------
    >>> model = eosin.train("data", features="features", model="ridge", genes="var:5", sections="A1,A2,B1")
    >>> len(model.panel)
    5
    """
    need_folder(out)
    if not (resume or overwrite):
        need_no_checkpoint(out)
    tables = read_toml(settings) if isinstance(settings, str | Path) else settings
    turned = shows_turned(model, tables)  # refuses an unknown setting before the images are encoded
    features, commercial_only = encoding.features, encoding.commercial_only
    if features is not None and not Path(features).is_dir():
        raise EosinError("no such folder of features", file=features, fix="run eosin encode first, or leave it out")
    measured = sections_of(data, reading)
    panel = choose_panel(
        tolerant(choosing.genes, choosing.missing_genes), measured, transform=choosing.transform
    )  # likewise a panel that cannot be had
    encoder = with_tile(encoding.encoder, encoding.tile_um)
    match = TileMatch(encoding.match, encoding.match_um)
    ready = with_features(measured, encoder, features, symmetries=turned, commercial_only=commercial_only, match=match)
    return engine.train(ready, model=model, settings=tables, panel=panel, seed=seed, out=out, resume=resume)
