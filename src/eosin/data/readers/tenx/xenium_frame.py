"""Where the H&E image of a Xenium region lies on its transcripts: `*he_image*.tif` and its alignment.

The alignment (`*he_imagealignment.csv`, or as Xenium Explorer calls it) maps pixels of the H&E image to pixels of the
morphology image.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import numpy as np

from eosin.data.readers.tenx.tenx_matrix import reading
from eosin.data.uns_spatial import stated_number
from eosin.errors import EosinError
from eosin.storage.files import read_json
from eosin.types import check_mpp

PIXEL_UM = 0.2125
"""Pixels of the morphology image, where `experiment.xenium` does not say."""
_STRETCH, _OTHER = 0.02, 0.1
_ALIGNMENT = re.compile(r"(he_?image|he)_?(alignment|matrix)\.csv$", re.IGNORECASE)
"""10x serves `*he_imagealignment.csv`; Xenium Explorer exports `*_he_image_matrix.csv`, or a folder of `matrix.csv`."""

_IMAGE = re.compile(r"(?:^|[^a-z])h&?e(?:[^a-z].*)?\.(?:tiff?|btf|svs|ndpi)$", re.IGNORECASE)
"""Other names of the H&E image: `R1_HE.ome.tif`, 10x's `*_he_unaligned_image.ome.tif`."""
_ONLY_ALIGNMENT = re.compile(r"(?:.*[^a-z])?(?:image_?)?alignment(?:_?matrix)?\.csv|matrix\.csv")
"""An alignment that does not say of which image, where none does."""


@dataclass(frozen=True)
class Frame:
    """The section's coordinates: µm along the axes of the H&E image, or Xenium's own where there is none.

    Attributes
    ----------
    turn, shift
        Xenium's µm [m 2] to those of the section: `xy @ turn.T + shift`.
    image, mpp
        The H&E image and its µm per pixel by the alignment.
    """

    turn: np.ndarray
    shift: np.ndarray
    image: Path | None = None
    mpp: float = 1.0

    def place(self, xy_um: np.ndarray) -> np.ndarray:
        """Positions [m 2] of Xenium's µm in the section's coordinates."""
        x, y = np.asarray(xy_um, dtype=np.float64).T  # by axis: a product of [m 2] with 2 x 2 takes ten times as long
        return np.stack([a * x + b * y + c for (a, b), c in zip(self.turn, self.shift)], 1)


def read_frame(folder: Path) -> tuple[Frame, list[str]]:
    """Where the H&E image lies on the transcripts, from the files beside them; notes say what is missing.

    Raises
    ------
    EosinError
        Several alignments; one that is not a matrix of 3 x 3, or maps to no plausible scale.
    """
    places = [folder, folder.parent] if folder.name == "outs" else [folder]
    beside = [file for place in places for file in sorted(place.glob("*")) if not file.name.startswith(".")]
    images = [file for file in beside if fnmatch(file.name, "*he_image*.tif*")]
    images = images or [file for file in beside if _IMAGE.search(file.name)]
    tables = [file for file in beside if _ALIGNMENT.search(file.name)]
    tables += [file for place in places for file in sorted(place.glob("*he*_alignment_files/matrix.csv"))]
    tables = tables or [file for file in beside if _ONLY_ALIGNMENT.fullmatch(file.name.lower())]
    for files in (images, tables):
        if len(files) > 1:
            raise EosinError(f"{files[0].name} and {files[1].name} both fit", file=folder, fix="keep one")
    if not images or not tables:
        has = "no *he_image.ome.tif" if not images else f"{images[0].name} has no *he_imagealignment.csv"
        points = next((file.name for file in beside if file.name.lower().endswith("keypoints.csv")), None)
        if points is not None:
            has += f" ({points} holds points: export the alignment's matrix from Xenium Explorer too)"
        return Frame(np.eye(2), np.zeros(2)), [f"{has}: positions are µm, there is no image"]
    pixel_um, notes = pixel_um_of(folder)
    matrix = np.diag([pixel_um, pixel_um, 1.0]) @ _alignment(tables[0])  # pixels of the H&E image to Xenium's µm
    stretch = np.linalg.svd(matrix[:2, :2], compute_uv=False)
    mpp = check_mpp(float(np.sqrt(stretch[0] * stretch[1])), tables[0])
    _check_direction(images[0], mpp, pixel_um, tables[0])
    if stretch[0] / stretch[1] - 1 > _STRETCH:
        notes.append(f"the alignment stretches one direction by {stretch[0] / stretch[1] - 1:.1%}; µm are a mean")
    if np.linalg.det(matrix[:2, :2]) < 0:
        notes.append("the H&E image is mirrored against the transcripts")
    back = np.linalg.inv(matrix) * mpp  # Xenium's µm to µm along the image's axes
    return Frame(back[:2, :2], back[:2, 2], images[0], mpp), [*notes, f"{mpp:.4f} µm/px by the alignment"]


def _check_direction(image: Path, mpp: float, pixel_um: float, table: Path) -> None:
    """Refuse an alignment by whose inverse the image has the scale that it states itself, and by which it has not."""
    from eosin.slide import scale_of  # image libraries load only where a file is asked

    try:
        own = scale_of(image)
    except EosinError:
        return  # whoever encodes it says what is wrong with it
    by_inverse = pixel_um**2 / mpp
    if own is not None and abs(mpp / own - 1) > _OTHER and abs(by_inverse / own - 1) < _STRETCH:
        problem = f"maps the morphology image to the H&E image: {mpp:.3g} µm per pixel, where the image says {own:.3g}"
        raise EosinError(problem, file=table, fix="write the inverse matrix, from pixels of the H&E image to the other")


def _alignment(file: Path) -> np.ndarray:
    with reading(file, "an alignment"):
        lines = [_cells(line) for line in file.read_text(encoding="utf-8-sig").splitlines()]
        rows = [row for row in lines if row]
        is_square = [len(row) for row in rows] == [3, 3, 3]
        matrix = np.array([[float(cell) for cell in row] for row in rows]) if is_square else np.empty((0, 0))
    fix = "export the alignment from Xenium Explorer again"
    if not is_square:
        sizes = ", ".join(str(len(row)) for row in rows[:6])
        problem = f"is no affine matrix of 3 x 3: {f'its rows have {sizes}' if rows else 'it holds no'} numbers"
        raise EosinError(problem, file=file, fix=f"{fix}, or write 3 lines of 3 numbers with commas between")
    if matrix.shape != (3, 3) or not np.isfinite(matrix).all() or not np.allclose(matrix[2], [0, 0, 1]):
        raise EosinError("is no affine matrix of 3 x 3", file=file, fix=fix)
    size = np.abs(matrix[:2, :2]).max()
    if size == 0 or abs(np.linalg.det(matrix[:2, :2])) < 1e-6 * size**2:
        raise EosinError("its matrix maps the image to a line", file=file, fix=fix)
    return matrix


def _cells(line: str) -> list[str]:
    """The numbers of a line: commas, semicolons (then with decimal commas, maybe), tabs or spaces between them."""
    if ";" in line:
        line = line.replace(",", ".").replace(";", ",")
    cells = [cell.strip() for cell in line.strip().split("," if "," in line else None)]
    return cells[:-1] if cells and not cells[-1] else cells  # behind a comma at the end


def pixel_um_of(folder: Path) -> tuple[float, list[str]]:
    """µm per pixel of the morphology image, and a note where it is assumed."""
    file = folder / "experiment.xenium"
    facts: Any = read_json(file) if file.is_file() else {}
    pixel_um = stated_number(facts, "pixel_size", file, "") if isinstance(facts, dict) else None
    if pixel_um is not None:
        return check_mpp(pixel_um, file), []
    return PIXEL_UM, [f"experiment.xenium does not say the pixel size; {PIXEL_UM} µm is used"]
