"""Tiles flow through bounded queues, in order, over several devices; large tables are stored in pieces."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from PIL import Image as Picture

from eosin.encoders import Encoder, EncoderCard, View, get_encoder
from eosin.errors import EosinError
from eosin.features import encode, feature_writing, read_features, write_features
from eosin.features.devices import devices_of, in_order, replicas
from eosin.features.read_ahead import read_ahead
from eosin.slide import open_slide
from eosin.types import Image, Section, Spots

N = 41


class Probe(Encoder):
    """First row of each window; an uneven pace, so that devices overtake one another."""

    def __init__(self) -> None:
        self.views, self.spec = (View(8.0, 16),), "probe"
        self.card = EncoderCard("probe", "", "MIT", True, False, 16, "")
        self.threads: set[str] = set()
        self.calls = 0

    @property
    def key(self) -> str:
        return "probe;1"

    def encode(self, tiles: Sequence[torch.Tensor]) -> torch.Tensor:
        assert torch.is_inference_mode_enabled()
        self.calls += 1
        time.sleep(0.004 * (self.calls % 3))
        self.threads.add(threading.current_thread().name)
        return tiles[0][:, 0, :, 0].float()


@pytest.fixture
def section(tmp_path: Path) -> Section:
    pixels = np.random.default_rng(0).integers(0, 255, (100, 200, 3)).astype(np.uint8)
    Picture.fromarray(pixels).save(tmp_path / "image.png")
    xy = np.stack([np.linspace(12, 88, N), np.full(N, 25.0)], 1)
    return Section(
        "A1", "p", Spots(xy, 5.0, tuple(f"s{i}" for i in range(N))), image=Image(tmp_path / "image.png", 0.5)
    )


def test_two_devices_give_what_one_gives(section: Section) -> None:
    one, two = Probe(), Probe()
    single = encode(section, one, batch=3).need_features().values
    double = encode(section, two, batch=3, device="cpu,cpu").need_features().values
    np.testing.assert_array_equal(single, double)
    assert one.calls == 14 and two.calls == 7  # the other seven were a copy's


def test_each_replica_is_an_encoder_of_its_own() -> None:
    encoder = Probe()
    both = replicas(encoder, [torch.device("cpu")] * 2)
    assert both[0] is encoder and both[1] is not encoder and both[1].key == encoder.key


def test_work_is_drawn_no_faster_than_it_is_done() -> None:
    drawn, done = [0], [0]
    lead = 0

    def work():
        for i in range(30):
            drawn[0] += 1
            yield i

    def one(i: int) -> int:
        nonlocal lead
        lead = max(lead, drawn[0] - done[0])
        time.sleep(0.001)
        done[0] += 1
        return i * i

    assert list(in_order(work(), [one, one, one])) == [i * i for i in range(30)]
    assert lead <= 3 * 2


def test_only_a_few_batches_are_read_ahead(section: Section) -> None:
    with open_slide(section.image.path, mpp=0.5) as slide:
        read = []
        real = slide.read
        slide.read = lambda *given: read.append(1) or real(*given)
        tiles = read_ahead(slide, section.spots.xy_um, Probe().views, 2, readers=2)
        next(tiles)
        time.sleep(0.2)
        assert len(read) <= 2 * (2 + 1)
        tiles.close()
        assert len(read) <= 2 * (2 + 1)


def test_reading_begins_anywhere_with_the_same_batches(section: Section) -> None:
    with open_slide(section.image.path, mpp=0.5) as slide:
        every, late = (list(read_ahead(slide, section.spots.xy_um, Probe().views, 5, start=s)) for s in (0, 15))
    assert [tiles.start for tiles in every] == list(range(0, N, 5))
    assert all(torch.equal(a.windows[0], b.windows[0]) for a, b in zip(every[3:], late, strict=True))


def test_an_error_in_the_encoder_comes_out(section: Section) -> None:
    class Fails(Probe):
        def encode(self, tiles: Sequence[torch.Tensor]) -> torch.Tensor:
            raise EosinError("no")

    before = threading.active_count()
    with pytest.raises(EosinError, match=r"^no$"):
        encode(section, Fails(), batch=2)
    assert threading.active_count() == before


@pytest.mark.parametrize("name", ["gpu", "cuda:99", "cpu:1", "meta", ""])
def test_devices_that_are_not_there(name: str) -> None:
    with pytest.raises(EosinError, match="give one that is there: auto, cpu"):
        devices_of(name, Probe())


def test_statistics_stay_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    card = Probe().card.__class__("net", "", "MIT", True, False, 16, "", parameters=5)
    assert [str(device) for device in devices_of("auto", Probe())] == ["cpu"]
    net = Probe()
    net.card = card
    assert [str(device) for device in devices_of("auto", net)] == ["cuda:0", "cuda:1"]
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert [str(device) for device in devices_of("auto", net)] == ["cpu"]


def test_large_tables_lie_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """HDF5 takes chunks below 4 GiB only."""
    monkeypatch.setattr(feature_writing, "_CHUNK_BYTES", 1000)
    about = {"mpp": 0.5, "tile_um": 8.0, "patch_size": 16, "patch_size_level0": 16, "level0_width": 9}
    about |= {"level0_height": 9}
    values = np.random.default_rng(0).normal(size=(50, 30)).astype(np.float32)
    turned = np.repeat(values[:, None], 7, 1)
    ids = [f"s{i}" for i in range(50)]
    write_features(tmp_path / "a.h5", ids, np.zeros((50, 2)), values, about, turned=turned)
    with h5py.File(tmp_path / "a.h5") as file:
        assert file["features"].chunks == (8, 30) and file["turned"].chunks == (8, 1, 30)
        assert all(np.prod(item.chunks) * item.dtype.itemsize <= 1000 for item in file.values())
    found = read_features(tmp_path / "a.h5", turned=True)
    assert np.array_equal(found.values, values) and np.array_equal(found.turned, turned)


def test_precision_is_no_setting_of_statistics() -> None:
    with pytest.raises(EosinError, match="precision"):
        get_encoder("stain", precision="float16")
