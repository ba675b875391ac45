"""Files for other programs say what the command line takes: Nextflow's processes, the Dockerfile."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from eosin import __version__
from eosin.options import DEFAULT_ENCODER
from unit.test_docs import faults

ROOT = Path(__file__).resolve().parents[2]
NEXTFLOW = ROOT / "integrations" / "nextflow"
MODULES = sorted((NEXTFLOW / "modules").glob("*.nf"))


def test_there_is_a_process_each_for_encode_predict_and_report() -> None:
    assert [module.stem for module in MODULES] == ["encode", "predict", "report"]


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.stem)
def test_a_process_calls_its_verb_with_flags_that_it_has(module: Path) -> None:
    text = module.read_text(encoding="utf-8")
    (line,) = re.findall(r"^ +eosin (\w.*)$", text, re.MULTILINE)
    words = line.replace("${more}", "").split()
    assert words[0] == module.stem and faults(words) == []
    assert text.count("{") == text.count("}") and text.count('"""') == 4  # a script and a stub
    (name,) = re.findall(r"^process (\w+) \{$", text, re.MULTILINE)
    main = (NEXTFLOW / "main.nf").read_text(encoding="utf-8")
    assert f"include {{ {name} }} from './modules/{module.stem}'" in main and f"{name}(" in main
    config = (NEXTFLOW / "nextflow.config").read_text(encoding="utf-8")
    (label,) = re.findall(r"label '(\w+)'", text)
    assert f"withLabel: {label}" in config
    for given in re.findall(r"params\.(\w+)", main + config):
        assert re.search(rf"^    {given} +=", config, re.MULTILINE), given


def test_version_and_encoder_are_those_of_the_library() -> None:
    config = (NEXTFLOW / "nextflow.config").read_text(encoding="utf-8")
    assert f"'eosin:{__version__}'" in config and f"'{DEFAULT_ENCODER}'" in config
    assert f"eosin:{__version__}" in (ROOT / "Dockerfile").read_text(encoding="utf-8")


def test_what_the_image_is_made_of_is_there() -> None:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    for line in re.findall(r"^COPY (?!--from)(.+)$", text, re.MULTILINE):
        assert all((ROOT / name).exists() for name in line.split()[:-1]), line
    assert "--require-hashes -r requirements.lock" in text
