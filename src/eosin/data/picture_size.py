"""Whether a slide's image is the picture that positions were measured on, by the size of a reduced copy.

Space Ranger keeps a reduced picture and its scale: together they say how large the full one was.
"""

from __future__ import annotations

from pathlib import Path

from eosin.errors import EosinError

_TOLERANCE, _FEW_PX = 0.01, 3.0
"""How far sizes may differ: as a share, and pixels of the reduced picture, which is rounded."""
_MOST = 16


def ratio_to_reduced(slide: Path, reduced: Path, factor: float) -> tuple[float, list[str]]:
    """How many times larger a slide is than the picture of which `reduced` is a copy; and a note unless it is the same.

    Parameters
    ----------
    factor
        Pixels of the reduced picture per pixel of the full one.

    Raises
    ------
    EosinError
        As `plain_ratio`.
    """
    from eosin.slide import size_px_of  # image libraries load only where a file is asked

    try:
        size_px, reduced_px = size_px_of(slide), size_px_of(reduced)
    except EosinError:
        return 1.0, []  # whoever encodes it says what is wrong with it
    return plain_ratio(slide, size_px, (reduced_px[0] / factor, reduced_px[1] / factor), factor)


def plain_ratio(
    slide: Path, size_px: tuple[int, int], seen_px: tuple[float, float], factor: float
) -> tuple[float, list[str]]:
    """How many times larger a slide is than the picture that positions were measured on; a note unless it is the same.

    Whole multiples, and whole parts, are taken for what they are: a scan and its reduced copy.

    Parameters
    ----------
    size_px, seen_px
        Width and height of the slide, and of the picture.
    factor
        Pixels of the reduced copy, from which `seen_px` follows, per pixel of the picture.

    Raises
    ------
    EosinError
        The slide is of another shape, or its ratio is not plain: positions would lie elsewhere on it.
    """
    ratios = [own / seen for own, seen in zip(size_px, seen_px)]
    slack = [max(_TOLERANCE, _FEW_PX / (seen * factor)) for seen in seen_px]
    for plain in (1.0, *(float(n) for n in range(2, _MOST + 1)), *(1.0 / n for n in range(2, _MOST + 1))):
        if all(abs(ratio / plain - 1) <= allowed for ratio, allowed in zip(ratios, slack)):
            if plain == 1.0:
                return 1.0, []
            times = f"{plain:g} x" if plain > 1 else f"1/{1 / plain:g} of"
            own, seen = (" x ".join(f"{side:.0f}" for side in sides) for sides in (size_px, seen_px))
            return plain, [f"{slide.name} has {own} px, {times} the picture of the positions ({seen} px): scaled"]
    own, seen = (" x ".join(f"{side:.0f}" for side in sides) for sides in (size_px, seen_px))
    problem = f"has {own} px, but the picture that the positions were measured on had {seen} px"
    raise EosinError(problem, file=slide, fix="give that picture, or take this one away")
