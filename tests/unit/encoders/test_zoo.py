"""Published encoders: built as their cards say, fed as their authors do, refused in one line where they do not fit."""

from __future__ import annotations

import logging
from importlib.resources import files
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from eosin.api.listing import list_things
from eosin.encoders import get_encoder
from eosin.encoders.parts.published import NAMES, zoo_card
from eosin.encoders.parts.token_pooling import AttentionPool, ClassAndMean, ClassToken, MapMean
from eosin.encoders.zoo import OPEN, backbone, build_untrained
from eosin.errors import EosinError

pytestmark = pytest.mark.usefixtures("quick_weights")

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
FED = {  # as the authors' pages say: side of the window, mean and deviation
    "uni": (224, *IMAGENET),
    "virchow2": (224, *IMAGENET),
    "h-optimus-1": (224, (0.707223, 0.578729, 0.703617), (0.211883, 0.230117, 0.177517)),
    "hibou-l": (224, (0.7068, 0.5755, 0.722), (0.195, 0.2316, 0.1816)),
    "kaiko-s16": (224, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "conch": (448, (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
}
MILLIONS = {  # as the papers and model pages say
    **{"uni": 303.4, "uni2-h": 681.4, "gigapath-tile": 1134.95, "virchow": 631.2, "virchow2": 631.2},
    **{"h0-mini": 85.7, "phikon": 85.8, "phikon-v2": 303.4, "hibou-b": 85.7, "hibou-l": 303.7, "conch-v1.5": 306.1},
    **{"ctranspath": 27.5, "lunit-s8": 21.7, "h-optimus-0": 1134.8},
}


def tile(px: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(0, 256, (1, px, px, 3), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


@pytest.fixture(scope="module")
def ciga(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of the smallest encoder, with the names of its publisher."""
    path = tmp_path_factory.mktemp("ciga") / "ciga.safetensors"
    torch.manual_seed(4)
    tensors = backbone("ciga").state_dict()
    save_file({name.replace("trunk.", "model.resnet."): value for name, value in tensors.items()}, path)
    return path


def test_every_name_has_a_card_and_every_card_a_name() -> None:
    folder = files("eosin.encoders").joinpath("cards")
    assert {file.name for file in folder.iterdir()} == {f"{name}.toml" for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_parameters_are_as_many_as_the_card_says(name: str) -> None:
    with torch.device("meta"):
        n_parameters = sum(one.numel() for one in backbone(name).parameters())
    assert n_parameters == zoo_card(name).parameters
    assert name not in MILLIONS or abs(n_parameters / 1e6 - MILLIONS[name]) < 0.06


@pytest.mark.parametrize("name", NAMES)
def test_forward_has_the_width_of_the_card(name: str) -> None:
    """At the depth of one block: shapes and pooling are the same, a giant then takes a second."""
    card, encoder = zoo_card(name), build_untrained(name, depth=1)
    assert [view.px for view in encoder.views] == [card.px] and encoder.n_features == card.width
    assert encoder.views[0].width_um == card.px * card.um_per_px
    features = encoder.encode([tile(card.px)])
    assert features.shape == (1, card.width) and bool(torch.isfinite(features).all())


@pytest.mark.parametrize("name", list(FED))
def test_the_network_is_given_what_its_authors_give_it(name: str) -> None:
    px, mean, std = FED[name]
    encoder, seen = build_untrained(name, depth=1), []
    encoder._network._model.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    window = tile(px)
    encoder.encode([window])
    want = (window[0].permute(2, 0, 1) / 255 - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)
    torch.testing.assert_close(seen[0][0], want)


def test_poolings() -> None:
    tokens = torch.rand(2, 7, 16)
    assert torch.equal(ClassToken()(tokens), tokens[:, 0])
    registers = ClassAndMean(5)(tokens)
    assert torch.equal(registers[:, :16], tokens[:, 0])
    torch.testing.assert_close(registers[:, 16:], tokens[:, 5:].mean(1))
    fields = torch.rand(2, 3, 4, 5)
    torch.testing.assert_close(MapMean((2, 3))(fields), fields.mean((2, 3)))
    torch.testing.assert_close(MapMean((1, 2))(fields.permute(0, 2, 3, 1)), fields.mean((2, 3)))
    pool = AttentionPool(8, 16, n_heads=2).eval()
    torch.testing.assert_close(pool(tokens.flip(1)), pool(tokens))  # a set of tokens, whatever their order
    assert not torch.allclose(pool(tokens[:, :3]), pool(tokens))


def test_registers_are_left_out_of_the_mean() -> None:
    assert build_untrained("virchow2", depth=1)._network._model.pool.n_prefix == 5
    assert build_untrained("virchow", depth=1)._network._model.pool.n_prefix == 1


def test_weights_from_a_file_or_a_folder_are_the_same(ciga: Path) -> None:
    one, two = get_encoder(f"ciga@{ciga}"), get_encoder("ciga", weights=str(ciga.parent))
    assert one.key == two.key == get_encoder(one.spec).key and one.folder == two.folder
    model = backbone("ciga").eval()
    model.load_state_dict({n: one._network._model.state_dict()[n] for n in model.state_dict()})
    with torch.inference_mode():
        image = (tile(224).permute(0, 3, 1, 2) / 255 - 0.5) / 0.5
        want = model.trunk(image)  # timm's own head without a classifier
    torch.testing.assert_close(one.encode([tile(224)]), want, rtol=1e-4, atol=1e-5)


def test_what_changes_numbers_changes_the_key(ciga: Path) -> None:
    plain = get_encoder(f"ciga@{ciga}")
    for setting in ("widths_um=112,224", "widths_um=100", "precision=bfloat16"):
        other = get_encoder(f"ciga@{ciga}?{setting}")
        assert other.key != plain.key and get_encoder(other.spec).key == other.key
    wide = get_encoder(f"ciga@{ciga}?widths_um=112,224")
    assert wide.n_features == 1024
    torch.testing.assert_close(
        wide.encode([tile(224, 0), tile(224, 1)]), torch.cat([plain.encode([tile(224, i)]) for i in (0, 1)], 1)
    )
    half = get_encoder(f"ciga@{ciga}?precision=bfloat16").encode([tile(224)])
    assert half.dtype == torch.float32
    assert 0 < float((half - plain.encode([tile(224)])).abs().max()) < 0.1


@pytest.mark.parametrize("name", [one for one in NAMES if zoo_card(one).is_pickle])
def test_a_pickle_is_not_opened_but_its_conversion_told(name: str) -> None:
    with pytest.raises(EosinError) as caught:
        get_encoder(name)
    line, card = str(caught.value), zoo_card(name)
    for said in (f"'{name}'", card.page, card.licence, card.file, "weights_only=True", f"{name}@w.safetensors"):
        assert said in line
    assert all(f"'{one}'" in line for one in OPEN) and "\n" not in line


def test_a_pickle_in_a_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").write_bytes(b"x")
    with pytest.raises(EosinError, match=r"only as a pickle \('pytorch_model.bin'\).*weights_only=True"):
        get_encoder("uni", weights=str(tmp_path))
    for name in ("a.safetensors", "b.safetensors"):
        save_file({"x": torch.rand(1)}, tmp_path / name)
    with pytest.raises(EosinError, match="holds 2 files of weights"):
        get_encoder("uni", weights=str(tmp_path))
    with pytest.raises(EosinError, match=r"a\.safetensors: the weights lack \d+ tensors of encoder 'ciga'"):
        get_encoder(f"ciga@{tmp_path / 'a.safetensors'}")


def test_a_gate_is_told_with_the_page_and_with_substitutes(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub
    from huggingface_hub.errors import GatedRepoError

    def refuse(*args: object, **kwargs: object) -> str:
        raise GatedRepoError.__new__(GatedRepoError)  # its arguments differ between versions

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", refuse)
    with pytest.raises(EosinError, match=r"gated.*huggingface.co/paige-ai/Virchow2.*CC-BY-NC-ND.*'stain' or 'phikon'"):
        get_encoder("virchow2")
    assert not any(zoo_card(one).gated or zoo_card(one).is_pickle for one in OPEN if one != "stain")


def test_the_hub_is_asked_for_the_pinned_commit(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import huggingface_hub
    from huggingface_hub.errors import LocalEntryNotFoundError

    asked: list[tuple[object, ...]] = []

    def offline(repo: str, file: str, revision: str | None = None) -> str:
        asked.append((repo, file, revision))
        raise LocalEntryNotFoundError("no network")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", offline)
    with caplog.at_level(logging.WARNING, logger="eosin"):
        for spec in ("phikon", "phikon?revision=abc"):
            with pytest.raises(EosinError, match=r"'owkin/phikon'.*local .safetensors"):
                get_encoder(spec)
        assert not caplog.records
        with pytest.raises(EosinError):
            get_encoder("lunit-s16")
    assert asked == [
        ("owkin/phikon", "model.safetensors", "51d48edc137856bcf3fc8ef74c571b49910523a3"),
        ("owkin/phikon", "model.safetensors", "abc"),
        ("1aurent/vit_small_patch16_224.lunit_dino", "model.safetensors", None),
    ]
    assert "no revision is pinned" in caplog.text


@pytest.mark.parametrize("name", NAMES)
def test_cards_say_whose_the_weights_are(name: str) -> None:
    card = zoo_card(name)
    assert card.page.startswith("https://") and card.licence and card.citation and card.title
    assert card.revision is None or len(card.revision) == 40
    assert card.revision or card.is_pickle or "none is pinned" in card.note
    if any(mark in card.licence for mark in ("NC", "non-commercial", "unknown", "research", "terms")):
        assert not card.commercial


def test_the_list_shows_licence_and_gate() -> None:
    listed = {row["name"]: row for row in list_things("encoders")}
    assert set(NAMES) | {"stain", "timm"} <= set(listed)
    assert len({tuple(row) for row in listed.values()}) == 1  # the same columns for all
    assert listed["uni2-h"]["gated"] == "yes" and listed["uni2-h"]["commercial"] == "no"
    assert listed["h-optimus-0"]["licence"] == "Apache-2.0" and listed["h-optimus-0"]["um/px"] == 0.5
    assert listed["stain"]["gated"] == "no" and listed["stain"]["parameters"] == 0
    assert listed["virchow"]["features"] == 2560 and listed["virchow"]["parameters"] == 631229184


def test_unknown_settings_are_one_line() -> None:
    with pytest.raises(EosinError, match="unknown setting 'arch' in encoder 'uni'"):
        get_encoder("uni?arch=x")
    with pytest.raises(EosinError, match="no encoder is called 'unii'; did you mean 'uni'"):
        get_encoder("unii@x.safetensors")
    with pytest.raises(EosinError, match="no such file of weights"):
        get_encoder("uni@gone.safetensors")
