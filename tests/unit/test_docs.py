"""The documentation says what the code does: tables, links, commands, and the code of CONTRIBUTING."""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
from pathlib import Path
from xml.etree import ElementTree

import pytest

import toy
from eosin import cli
from eosin.cli.overrides import in_full
from eosin.data import READERS
from eosin.data.check import check_reader
from eosin.encoders import ENCODERS, check_encoder, get_encoder
from eosin.models import MODELS
from eosin.models.check import check_model

ROOT = Path(__file__).resolve().parents[2]
PLACES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
IDS = [str(page.relative_to(ROOT)) for page in PLACES]


def script(name: str):
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def commands(page: Path) -> list[list[str]]:
    """Every `eosin ...` line of a page: in shell blocks and in inline code."""
    text = page.read_text(encoding="utf-8")
    lines = [line for block in blocks(page, "sh") for line in block.replace("\\\n", " ").splitlines()]
    prose = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    lines += re.findall(r"`(eosin [^`]+)`", prose)
    found = [shlex.split(line, comments=True) for line in lines]
    return [words[1:] for words in found if len(words) > 1 and words[0].endswith("eosin")]


def faults(words: list[str]) -> list[str]:
    """Verbs and flags of one command that the command line does not have."""
    if words[0].startswith("-"):
        return [] if words[0] in {"--help", "--version"} else words[:1]
    if words[0] not in set(cli.app):
        return words[:1]
    verb = cli.app[words[0]]
    if len(words) > 1 and words[1] in set(verb):  # a command of its own below it
        verb = verb[words[1]]
    elif verb.default_command is None:
        return words[1:2]
    known = {name for argument in verb.assemble_argument_collection() for name in argument.names}
    known |= {"--debug", "--help", "-q", "-v"}
    words = [in_full(words[0], word) for word in words]
    return [word for word in words[1:] if is_flag(word) and word.split("=")[0] not in known and not is_setting(word)]


def is_flag(word: str) -> bool:
    return re.fullmatch(r"-[a-z]|--[\w.-]+(=.*)?", word) is not None


def is_setting(word: str) -> bool:
    """Whether `--model.x` or `--train.x` names a setting that there is."""
    from eosin.engine import TrainSettings

    table, _, name = word.removeprefix("--").split("=")[0].partition(".")
    known = {"train": [TrainSettings], "model": [MODELS[name].settings for name in MODELS]}.get(table, [])
    return any(name.replace("-", "_") in record.model_fields for record in known)


@pytest.fixture
def registries():
    """What a test registers is forgotten after it."""
    kept = [(one, dict(one._known)) for one in (MODELS, ENCODERS, READERS) if list(one)]
    yield
    for registry, known in kept:
        registry._known.clear()
        registry._known.update(known)


def test_tables_are_as_the_code_says():
    make = script("make_tables")
    stale = [
        str(p.relative_to(ROOT)) for p in make.pages() if make.renewed(p.read_text("utf-8")) != p.read_text("utf-8")
    ]
    assert not stale, f"run python docs/make_tables.py: {stale}"


def test_badges_are_as_the_project_says():
    make = script("make_badges")
    kept = {path.stem: path.read_text("utf-8") for path in make.FOLDER.glob("*.svg")}
    assert kept == make.badges(), "run python docs/make_badges.py"
    assert all(ElementTree.fromstring(svg).attrib["aria-label"] for svg in kept.values())


def test_every_table_stands_somewhere():
    make = script("make_tables")
    used = {name for page in make.pages() for _, name, *_ in make.BLOCK.findall(page.read_text("utf-8"))}
    assert used == set(make.TABLES)


def test_a_stale_table_is_noticed():
    make = script("make_tables")
    page = "x\n<!-- table:transforms -->\n| old |\n<!-- end -->\ny"
    assert "log1p" in make.renewed(page) and "| old |" not in make.renewed(page)
    assert make.renewed(make.renewed(page)) == make.renewed(page)


@pytest.mark.parametrize("page", PLACES, ids=IDS)
def test_links_point_to_files(page):
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    local = {(page.parent / link).resolve() for link in links if "://" not in link}
    gone = [str(file.relative_to(ROOT)) for file in local if not file.exists()]
    assert not gone


@pytest.mark.parametrize("page", PLACES, ids=IDS)
def test_commands_are_there(page):
    wrong = {" ".join(words): found for words in commands(page) if (found := faults(words))}
    assert not wrong


def test_readme_has_commands():
    verbs = {words[0] for words in commands(ROOT / "README.md")}
    assert verbs >= {"info", "encode", "train", "predict", "score", "report", "bench"}


@pytest.mark.parametrize("line", ["eosin trian x", "eosin train x --modle y", "eosin train x --model.n-layer 4 -o y"])
def test_a_wrong_command_is_noticed(line):
    assert faults(shlex.split(line)[1:])


@pytest.mark.parametrize("page", PLACES, ids=IDS)
def test_settings_files_are_accepted(page):
    import tomllib

    from eosin.engine import resolve
    from eosin.engine.train_settings import TrainSettings

    for block in blocks(page, "toml"):
        tables = tomllib.loads(block)
        grid = tables if not set(tables) <= {"model", "train"} else {"stflow": tables}
        for model, own in grid.items():
            name, resolved = resolve(model, own)
            MODELS[name].settings.of(resolved["model"])
            TrainSettings.of(resolved["train"])


@pytest.mark.parametrize("page", PLACES, ids=IDS)
def test_no_address_of_a_machine(page):
    text = page.read_text(encoding="utf-8")
    assert not re.findall(r"\w+://(?!HOST\b)\S+|(?<![\w.])/(?:home|work|root|tmp|Users)/\S*", text)


def test_error_lines_are_those_of_the_code():
    source = "".join(file.read_text(encoding="utf-8") for file in sorted((ROOT / "src").rglob("*.py")))
    source = re.sub(r'"\s*\n\s*f?"', "", source)  # texts that go on in the next line
    source = re.sub(r"\{[^{}]*\}", "{}", source)
    rows = re.findall(r"^\| ([^|]+) \|", (ROOT / "docs" / "errors.md").read_text(encoding="utf-8"), re.MULTILINE)
    said = [part for row in rows if row not in {"the line says", "---"} for part in re.split(r"\.\.\.|;", row)]
    unknown = [part.strip() for part in said if len(part.strip()) > 3 and part.strip() not in source]
    assert not unknown, f"docs/errors.md quotes what the code does not say: {unknown}"


def test_model_of_contributing_runs(registries):
    exec(_snippet("Nearest"), {"__name__": "nearest"})
    entry, training = MODELS["nearest"], toy.training()
    check_model(lambda: entry.build(entry.settings(), toy.N_FEATURES, training.panel), training)


def test_encoder_of_contributing_runs(registries):
    exec(_snippet("Colour"), {"__name__": "colour"})
    check_encoder(get_encoder("colour"))


def test_reader_of_contributing_runs(registries, tmp_path):
    exec(_snippet("Tables"), {"__name__": "tables"})
    for name in ("A1", "B1"):
        rows = [f"s{i},{10 * i},{7 * i * i},{i},{i % 3},{2 * i}" for i in range(12)]
        (tmp_path / f"{name}.csv").write_text("spot,x_px,y_px,GATA3,ERBB2,KRT8\n" + "\n".join(rows) + "\n")
        (tmp_path / f"{name}.json").write_text(json.dumps({"mpp": 0.5, "patient": name[0]}))
    check_reader("tables", tmp_path)


def _snippet(word: str) -> str:
    (found,) = [block for block in blocks(ROOT / "CONTRIBUTING.md", "python") if f"class {word}(" in block]
    return found
