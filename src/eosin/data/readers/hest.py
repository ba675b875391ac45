"""Reader of HEST-1k: `st/{id}.h5ad`, `wsis/{id}.tif`, `metadata/{id}.json` (Jaume et al., NeurIPS 2024).

Centres are `obsm["spatial"]`. The `coords` of the patch files are not read: in HEST-1k they are corners, in the
benchmark's files they are not, and their axes are exchanged between the two.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from eosin.data.array_map import array_notes
from eosin.data.foreign import gene_names, on_tissue
from eosin.data.gene_features import is_control
from eosin.data.h5ad import read_h5ad, spatial
from eosin.data.missing import names_no_patient
from eosin.data.odd_counts import odd_counts
from eosin.data.raw_counts import raw_counts
from eosin.data.reader import READERS, Reader
from eosin.data.scale_keys import HEST_KEYS, hest_scale
from eosin.data.section_parts import SectionParts, find_image
from eosin.data.uns_spatial import foreign_diameter_px, stated_number
from eosin.errors import EosinError
from eosin.genes.columns import GeneNames
from eosin.geometry import nearest_spacing
from eosin.storage.files import read_json
from eosin.types import Image, Section, check_mpp

if TYPE_CHECKING:
    from anndata import AnnData

DIAMETER_UM = {"visium": 55.0, "spatial transcriptomics": 100.0, "visium hd": 100.0, "xenium": 100.0}
"""Where the metadata leave it out. Xenium and Visium HD are pooled into squares of 100 µm in this collection."""
_NUMBERS = (*HEST_KEYS, "spot_diameter", "inter_spot_dist")
_PITCH_TOLERANCE, _SAME_SCALE = 0.2, 0.02
_REPORT = "github.com/mahmoodlab/HEST/issues/126"
_SAME_TISSUE = {"TENX128": "TENX155"}
"""Samples that are in HEST-1k twice (metadata 1.1.2.0), from two pages of 10x; reported by its users."""
_SAME_TISSUE_AGAIN = {twin: name for name, twin in _SAME_TISSUE.items()}
_OF_ONE_STUDY = ("TENX153", "TENX154", "TENX155", "TENX156")
"""Of 10x's study of colorectal cancer by Visium HD, which has five donors; the metadata name one patient."""


class Hest(Reader):
    """HEST-1k as it is downloaded, whole or in part."""

    name = "hest"
    platform = "various"
    looks_for = "st/{id}.h5ad with metadata/{id}.json and wsis/{id}.tif"

    evidence = "files in st/*.h5ad"

    def recognise(self, path: Path) -> str | None:
        """The number of count files, where metadata or images lie beside them."""
        beside = [folder for folder in ("metadata", "wsis") if (path / folder).is_dir()]
        reason = super().recognise(path)
        return f"{reason} beside {' and '.join(beside)}/" if reason and beside else None

    def names(self, path: Path) -> list[str]:
        """The ids of the samples that have counts."""
        return sorted(file.stem for file in (path / "st").glob("*.h5ad") if not file.name.startswith("."))

    def read_section(self, path: Path, name: str, *, mpp: float | None = None) -> Section:
        """One sample; its scale and patient are in its metadata."""
        file = path / "st" / f"{name}.h5ad"
        adata, tissue_notes = on_tissue(read_h5ad(file))
        facts, notes = read_metadata(path / "metadata" / f"{name}.json")
        is_given = mpp is not None
        mpp, scale_notes = _mpp(adata, facts, mpp, file)
        xy_um = spatial(adata, file) * mpp
        platform = str(facts.get("st_technology") or "unknown")
        diameter_um, diameter_notes = _diameter(adata, facts, platform, mpp)
        counts, genes, gene_notes = genes_only(adata, file)
        image = find_image([path / "wsis" / name])
        image_notes = [] if image else [f"no image wsis/{name}.tif"]
        return SectionParts(
            file,
            name,
            xy_um,
            diameter_um,
            adata.obs_names,
            counts,
            genes,
            patient=_patient_of(path, facts, name),
            image=image and Image(image, mpp),
            platform=platform,
            notes=[
                *notes,
                *known_faults(name),
                *tissue_notes,
                *scale_notes,
                *diameter_notes,
                *gene_notes,
                *image_notes,
                *_odd_pitch(xy_um, facts),
                *array_notes(adata.obs, xy_um),
            ],
            is_image_of_positions=is_given,
        ).section(self.naming)


def known_faults(name: str) -> list[str]:
    """What is known to be wrong with a sample's metadata in the public release, with its source."""
    if name in _OF_ONE_STUDY:
        others = "the metadata call TENX153 to TENX156 one patient, their study has several"
        twin = _SAME_TISSUE_AGAIN.get(name)
        return [f"{others} ({_REPORT}); they are kept together", *([_twin_note(twin)] if twin else [])]
    return [_twin_note(_SAME_TISSUE[name])] if name in _SAME_TISSUE else []


def _twin_note(twin: str) -> str:
    return f"the same tissue as {twin} ({_REPORT}); both count as one patient"


def _patient_of(path: Path, facts: dict[str, Any], name: str) -> str:
    """The patient by the metadata; of a sample that is in the release twice, that of the other one."""
    twin = _SAME_TISSUE.get(name)
    if twin is not None and (file := path / "metadata" / f"{twin}.json").exists():
        return _patient(read_metadata(file)[0], twin)
    return _patient(facts, name)


def read_metadata(file: Path) -> tuple[dict[str, Any], list[str]]:
    """The sample's facts, and a note where there is no file of them."""
    if not file.exists():
        return {}, [f"no metadata/{file.name}"]
    facts = read_json(file)
    if not isinstance(facts, dict):
        raise EosinError("holds no table of facts", file=file, fix="download it again")
    return facts | {key: stated_number(facts, key, file, "") for key in _NUMBERS if key in facts}, []


def genes_only(adata: AnnData, file: Path) -> tuple[sparse.csr_matrix, GeneNames, list[str]]:
    """Counts [s g], what their columns are called, and notes; control probes are left out."""
    counts, notes = raw_counts(adata, file)
    notes += odd_counts(counts, adata, of_x=not notes)
    genes = gene_names(adata.var)
    kept = [j for j, name in enumerate(genes.names) if not (is_control(name) or "control" in name.lower())]
    if len(kept) < len(genes):
        notes.append(f"{len(genes) - len(kept)} control probes were left out")
        counts, genes = sparse.csr_matrix(counts[:, kept]), genes.take(kept)
    return counts, genes, notes


def _mpp(adata: AnnData, facts: dict[str, Any], mpp: float | None, file: Path) -> tuple[float, list[str]]:
    """µm per pixel as given, else by the metadata, and notes on what differs from it."""
    stored, key, notes = hest_scale([facts, adata.uns], file)
    if mpp is not None:
        odd = stored is not None and abs(stored / mpp - 1) > _SAME_SCALE
        return check_mpp(mpp, file), [f"{mpp:g} µm/px as given, {key} says {stored:.4g}"] if odd else []
    if stored is None:
        fix = "give --mpp, or the sample's metadata/*.json with pixel_size_um_estimated"
        raise EosinError("does not say the scale of obsm['spatial']", file=file, fix=fix)
    return check_mpp(stored, file), notes


def _diameter(adata: AnnData, facts: dict[str, Any], platform: str, mpp: float) -> tuple[float, list[str]]:
    """Width of a spot in µm, and a note where the metadata do not say it."""
    if known := facts.get("spot_diameter"):
        return known, []
    if platform.lower() in DIAMETER_UM:
        value = DIAMETER_UM[platform.lower()]
        return value, [f"spot diameter {value:g} µm, as usual for {platform}"]
    if stored := foreign_diameter_px(adata):
        return stored * mpp, ["spot diameter from spot_diameter_fullres"]
    return 100.0, ["spot diameter assumed to be 100 µm"]


def _patient(facts: dict[str, Any], name: str) -> str:
    """Patient within its dataset, since "Patient 1" is in many; the sample itself where none is given."""
    patient = facts.get("patient")
    if names_no_patient(patient):
        return name
    dataset = facts.get("dataset_title")
    return f"{dataset}/{patient}" if isinstance(dataset, str) and dataset else str(patient)


def _odd_pitch(xy_um: np.ndarray, facts: dict[str, Any]) -> list[str]:
    """A note where spacing and scale contradict each other, as in two Xenium samples of the collection."""
    expected_um, pitch_um = facts.get("inter_spot_dist"), nearest_spacing(xy_um)
    if not expected_um or not pitch_um > 0 or abs(pitch_um / expected_um - 1) <= _PITCH_TOLERANCE:
        return []
    return [f"the spots lie {pitch_um:.0f} µm apart, the metadata say {expected_um:.0f} µm: the scale may be wrong"]


READERS.add(Hest.name, Hest())
