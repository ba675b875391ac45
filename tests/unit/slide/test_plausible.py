"""Few spots or little tissue is said in one warning."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eosin.api.parts.bare_image import section_of_image
from eosin.api.tissue import tissue


def slide_of(tmp_path: Path, side_px: int) -> Path:
    """Grainy pink tissue in the middle of white glass."""
    rng = np.random.default_rng(0)
    picture = np.full((2 * side_px, 2 * side_px, 3), 245, np.uint8)
    middle = slice(side_px // 2, side_px // 2 + side_px)
    picture[middle, middle] = np.array([190, 90, 150]) + rng.integers(-40, 40, (side_px, side_px, 1))
    Image.fromarray(picture).save(tmp_path / "s.png")
    return tmp_path / "s.png"


@pytest.mark.parametrize(("mpp", "said"), [(0.5, True), (1.4, True), (3.0, False)])
def test_a_slide_of_little_tissue(tmp_path: Path, caplog, mpp: float, *, said: bool) -> None:
    """600 px of tissue are 0.09, 0.7 and 3.2 mm²; spots at 100 µm are 12 in the first."""
    path = slide_of(tmp_path, 600)
    section_of_image(path, mpp=mpp)
    warnings = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert len(warnings) == said
    if said:
        assert f"mm² of tissue, little for a slide: is it {mpp:g} µm per pixel? (--mpp)" in warnings[0]
        assert ("12 spots on 0.096" in warnings[0]) == (mpp == 0.5)
    caplog.clear()
    tissue(path, mpp=mpp)
    assert len(caplog.records) == said
