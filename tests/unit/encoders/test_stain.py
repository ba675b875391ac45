"""The statistics mean what they say, and `stain` is the same function everywhere."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from eosin.encoders import get_encoder
from eosin.encoders.parts import map_statistics as statistics
from eosin.encoders.parts.workers import over_rows
from eosin.encoders.stain import Stain
from eosin.errors import EosinError


def _map(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.asarray(array, dtype=np.float32))[None, None]


@pytest.fixture(scope="module")
def tiles() -> list[torch.Tensor]:
    rng = np.random.default_rng(0)
    coarse = rng.integers(60, 255, (19, 14, 14, 3), dtype=np.uint8)
    fine = coarse.repeat(16, 1).repeat(16, 2).astype(int) + rng.normal(0, 9, (19, 224, 224, 3))
    tile = torch.from_numpy(np.clip(fine, 0, 255).astype(np.uint8))
    return [tile, tile.flip(1)]


@pytest.fixture(scope="module")
def stain() -> Stain:
    return get_encoder("stain")


def test_same_with_any_number_of_threads_and_any_batch(stain: Stain, tiles: list[torch.Tensor]) -> None:
    n = torch.get_num_threads()
    try:
        results = []
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            results.append(stain.encode(tiles))
            assert torch.get_num_threads() == threads  # the workers' own setting must not leak out
    finally:
        torch.set_num_threads(n)
    alone = torch.cat([stain.encode([tile[i : i + 1] for tile in tiles]) for i in range(len(tiles[0]))])
    for other in (*results[1:], alone):
        torch.testing.assert_close(other, results[0], rtol=1e-5, atol=1e-6)


def test_moments_are_in_the_unit_of_the_map() -> None:
    rng = np.random.default_rng(0)
    maps = np.stack([rng.exponential(0.2, (9, 11)), 1 - rng.exponential(2.0, (9, 11))])
    third = ((maps - maps.mean((1, 2), keepdims=True)) ** 3).mean((1, 2))
    expected = np.concatenate([maps.mean((1, 2)), maps.std((1, 2)), np.cbrt(third)])
    assert third[0] > 0 > third[1]
    found = statistics.moments(torch.from_numpy(maps)[None])[0].numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_golden_numbers(stain: Stain) -> None:
    """Numbers of a picture without randomness; a change of any of them needs a new version in the key."""
    i = torch.arange(224)
    red = 150 + 60 * torch.sin(i[:, None] / 9.0) * torch.cos(i[None] / 13.0)
    tile = torch.stack([red, red - 40, red + 30], -1).clamp(0, 255).to(torch.uint8)[None]
    first = get_encoder("stain?version=1")
    values = first.encode([tile, tile])[0]
    assert first.key == "stain;version=1;views=165um/224px,330um/224px;resize=bicubic"
    assert stain.key == first.key.replace("version=1", "version=2")
    assert torch.equal(stain.encode([tile, tile])[0], values)  # before it is shown a slide
    assert first.for_slide([]) is first and not first.slide_views
    assert stain.n_features == len(values) == 442
    half = len(values) // 2
    # Equal pixels: only blobs are sought in µm, so only the last ten of each window may differ.
    torch.testing.assert_close(values[: half - 10], values[half:-10])
    assert values[3].item() == pytest.approx(-np.log((tile.double() + 1) / 256).mean().item(), rel=1e-4)
    kept = {0: 0.86209, 5: 0.05816, 20: 0.23138, 40: 0.9521, 50: 0.28395, 60: 0.00418, 75: 0.33218, 100: 0.08218}
    kept |= {140: 0.00321, 160: 0.00198, 200: 0.0107, 210: 0.25197, 220: 0.07354}
    assert {k: values[k].item() for k in kept} == {k: pytest.approx(v, rel=2e-3, abs=5e-5) for k, v in kept.items()}


def test_colour_is_unmixed(stain: Stain) -> None:
    """A pixel stained with so much haematoxylin and eosin alone gives back those amounts."""
    vectors = np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11]])
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    for amounts in ((0.8, 0.0), (0.0, 0.7), (0.4, 0.5)):
        density = np.array(amounts) @ vectors
        rgb = np.round(256 * np.exp(-density) - 1).astype(np.uint8)
        tile = torch.from_numpy(np.broadcast_to(rgb, (1, 96, 96, 3)).copy())
        unmixed = stain._stains(tile.permute(0, 3, 1, 2).contiguous())[0, :3, 0, 0].numpy()
        np.testing.assert_allclose(unmixed, (*amounts, 0.0), atol=0.02)


def test_turning_the_tissue_changes_little(stain: Stain, tiles: list[torch.Tensor]) -> None:
    """Tissue has no up: what a quarter turn changes must be far below what tells two spots apart."""
    tile = tiles[0][:6]
    here = stain.encode([tile, tile])
    turned = stain.encode([tile.rot90(1, (1, 2))] * 2)
    between = here.std(0)
    assert ((here - turned).abs().mean(0) <= 0.25 * between + 1e-3).float().mean() > 0.97


def test_granules_find_their_size() -> None:
    picture = np.zeros((96, 96))
    for x in range(8, 90, 16):
        for y in range(8, 90, 16):
            picture[y : y + 6, x : x + 6] = 1.0
    spectrum = statistics.granules(_map(picture), (3, 5, 7, 11))[0]
    assert spectrum[:4].argmax() == 2  # squares of 6 survive an opening by 5 and not one by 7
    assert spectrum[2].item() == pytest.approx(picture.mean(), rel=1e-5)


def test_blobs_count_nuclei() -> None:
    rows, columns = np.indices((128, 128))
    picture = sum(
        np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / 18) for x in range(16, 128, 32) for y in range(16, 128, 32)
    )
    counts = statistics.blobs(_map(picture), 3.0, (0.05, 0.1))[0, :2] * picture.size / 1e3
    assert counts.tolist() == pytest.approx([16, 16], abs=0.01)
    assert statistics.blobs(_map(np.zeros((64, 64))), 3.0, (0.05,))[0, 0] == 0


def test_edges_tell_fibres_from_noise() -> None:
    stripes = np.broadcast_to(np.sin(np.arange(64) / 2), (64, 64))
    noise = np.random.default_rng(0).normal(size=(64, 64))
    assert statistics.edges(_map(stripes))[0, 2] > 0.95
    assert statistics.edges(_map(stripes.T))[0, 2] > 0.95
    assert statistics.edges(_map(noise))[0, 2] < 0.1


def test_binary_patterns_against_the_definition() -> None:
    picture = np.random.default_rng(1).integers(0, 256, (40, 52))
    ours = statistics.binary_patterns(torch.from_numpy(picture)[None, None].to(torch.int16))[0]
    above = [np.roll(picture, (-i, -j), (0, 1)) > picture for i, j in statistics._RING]
    codes = sum(bit.astype(int) << k for k, bit in enumerate(above))[1:-1, 1:-1]
    literal = np.zeros(10)
    for code in codes.ravel():
        bits = [(code >> k) & 1 for k in range(8)]
        changes = sum(bits[k] != bits[k - 1] for k in range(8))
        literal[sum(bits) if changes <= 2 else 9] += 1
    np.testing.assert_allclose(ours.numpy(), literal / codes.size, rtol=1e-6)
    assert statistics.binary_patterns(torch.zeros(1, 1, 9, 9, dtype=torch.int16))[0].tolist() == [1.0] + [0.0] * 9


def test_blur_and_dilate_against_scipy() -> None:
    from scipy import ndimage

    picture = np.random.default_rng(2).random((40, 44)).astype(np.float32)
    for size in (2, 3, 5, 6, 11):
        origin = -((size + 1) % 2)
        theirs = ndimage.maximum_filter(
            picture, size, mode="constant", cval=-np.inf, origin=0 if size % 2 else origin + 1
        )
        np.testing.assert_array_equal(statistics.dilate(_map(picture), size)[0, 0].numpy(), theirs)
    theirs = ndimage.gaussian_filter(picture, 2.0, mode="mirror", truncate=2.5)
    np.testing.assert_allclose(statistics.blur(_map(picture), 2.0)[0, 0].numpy(), theirs, atol=1e-5)


def test_settings_change_key_and_numbers(stain: Stain, tiles: list[torch.Tensor]) -> None:
    other = get_encoder("stain?widths_um=100,330")
    assert other.key != stain.key and other.views[0].width_um == 100.0
    small = get_encoder("stain", px=112)
    assert small.key != stain.key and small.spec == "stain?px=112" and small.views[0].px == 112
    assert (other.encode([t[:2] for t in tiles]) - stain.encode([t[:2] for t in tiles])).abs().max() > 1e-3
    assert get_encoder("stain").spec == get_encoder("stain?version=2").spec == "stain"
    assert get_encoder("stain?version=1&px=112").spec == "stain?px=112&version=1"


def test_wrong_requests() -> None:
    with pytest.raises(EosinError, match="no encoder is called 'stian'; did you mean 'stain'"):
        get_encoder("stian")
    with pytest.raises(EosinError, match="unknown setting 'pixels'"):
        get_encoder("stain?pixels=3")
    with pytest.raises(EosinError, match="takes no argument"):
        get_encoder("stain:big")
    with pytest.raises(EosinError, match="empty"):
        get_encoder("stain?widths_um=-5")
    with pytest.raises(EosinError, match="'px'"):
        get_encoder("stain?px=8")
    for version in ("0", "3", "two"):
        with pytest.raises(EosinError, match="'version'"):
            get_encoder(f"stain?version={version}")


@pytest.mark.parametrize(
    "settings",
    [
        *("px=96&tile_um=14.2", "px=97&tile_um=14.6", "px=224&tile_um=14.2", "px=512&tile_um=14.1"),
        *("px=96&tile_um=115", "px=96&tile_um=115.3", "px=96&tile_um=1e6", "px=97&tile_um=40,80,160"),
    ],
)
def test_extreme_but_legal_settings_give_numbers(settings: str) -> None:
    """At both sides of the scale from which nuclei are sought in the window itself, at and near every limit."""
    encoder = get_encoder(f"stain?{settings}")
    tiles = [torch.randint(0, 256, (1, view.px, view.px, 3), dtype=torch.uint8) for view in encoder.views]
    made = encoder.encode(tiles)
    assert made.shape == (1, 221 * len(tiles)) and torch.isfinite(made).all()


@pytest.mark.parametrize("settings", ["px=96&tile_um=10,20", "px=96&tile_um=14.1", "tile_um=14", "tile_um=1e-300"])
def test_too_narrow_windows_are_refused_in_one_line(settings: str) -> None:
    """The blur of large nuclei would reach further than the window mirrors: torch refused it with a traceback."""
    with pytest.raises(EosinError, match="too narrow to seek nuclei in; give 15 µm or more"):
        get_encoder(f"stain?{settings}")


@pytest.mark.parametrize(
    "spec", ["stain?px=100000000", "stain?tile_um=inf", "pixels?px=100000000", "pixels?tile_um=inf"]
)
def test_absurd_windows_are_refused_before_memory_is_asked_for(spec: str) -> None:
    with pytest.raises(EosinError):
        get_encoder(spec)


def test_wrong_tiles_are_told(stain: Stain) -> None:
    with pytest.raises(ValueError, match="takes tiles"):
        stain.encode([torch.zeros(1, 224, 224, 3, dtype=torch.uint8)])
    with pytest.raises(ValueError, match="takes tiles"):
        stain.encode([torch.zeros(1, 3, 224, 224)] * 2)


def test_rows_keep_their_order() -> None:
    x = torch.arange(37.0)[:, None]
    assert torch.equal(over_rows(lambda a, b: a * 2 + b, [x, x]), x * 3)
