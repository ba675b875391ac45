"""What the house rules forbid: checked on the source, so that no review has to."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import subprocess
import sys
from abc import ABC
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest

import eosin

SOURCE = Path(eosin.__file__).parent
FILES = sorted(SOURCE.rglob("*.py"))
NAMES = [str(file.relative_to(SOURCE)) for file in FILES]


def modules() -> Iterator[object]:
    for found in pkgutil.walk_packages([str(SOURCE)], "eosin."):
        if found.name != "eosin.__main__":
            yield importlib.import_module(found.name)


@pytest.fixture(scope="module")
def classes() -> list[type]:
    """Every class that eosin defines."""
    return list(
        {
            thing
            for module in modules()
            for thing in vars(module).values()
            if inspect.isclass(thing) and thing.__module__.startswith("eosin.")
        }
    )


def is_interface(kind: type) -> bool:
    """Abstract, a protocol, or the settings record whose only purpose is to be derived from."""
    from eosin.config import Settings

    return (
        inspect.isabstract(kind)
        or ABC in kind.__bases__
        or getattr(kind, "_is_protocol", False)
        or kind in (Settings, eosin.EosinError)
    )


"""Known cases, to be paid back; none may be added."""


def test_nobody_derives_from_a_finished_class(classes: list[type]) -> None:
    wrong = [
        (kind.__name__, base.__name__)
        for kind in classes
        for base in kind.__bases__
        if base.__module__.startswith("eosin.") and not is_interface(base)
    ]
    assert wrong == []
    assert len(classes) > 40  # the walk found them


def test_every_registered_model_is_solved_or_learned(classes: list[type]) -> None:
    from eosin.models import Learned, Model, Solved

    finished = [kind for kind in classes if issubclass(kind, Model) and not inspect.isabstract(kind)]
    assert len(finished) >= 3
    assert all(issubclass(kind, Solved) != issubclass(kind, Learned) for kind in finished)


FORBIDDEN_CALLS = {"print", "eval", "exec", "compile", "__import__", "input"}
FORBIDDEN_MODULES = {"pickle", "dill", "cloudpickle", "joblib", "yaml", "marshal", "shelve"}
FORBIDDEN_METHODS = {("torch", "load"), ("torch", "save"), ("np", "load"), ("os", "system"), ("subprocess", "run")}
ALLOWED = {"storage/hdf5.py": "subprocess.run()"}
"""A damaged HDF5 file can crash the library that reads it: it is walked by this interpreter in another process."""


def faults(tree: ast.AST, *, may_print: bool) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler) and node.type is None:
            yield f"line {node.lineno}: bare except"
        if isinstance(node, ast.Import):
            yield from (
                f"line {node.lineno}: {one.name}" for one in node.names if one.name.split(".")[0] in FORBIDDEN_MODULES
            )
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in FORBIDDEN_MODULES:
            yield f"line {node.lineno}: {node.module}"
        if not isinstance(node, ast.Call):
            continue
        called = node.func
        if isinstance(called, ast.Name) and called.id in FORBIDDEN_CALLS - ({"print"} if may_print else set()):
            yield f"line {node.lineno}: {called.id}()"
        if (
            isinstance(called, ast.Attribute)
            and isinstance(called.value, ast.Name)
            and (called.value.id, called.attr) in FORBIDDEN_METHODS
        ):
            yield f"line {node.lineno}: {called.value.id}.{called.attr}()"


@pytest.mark.parametrize("name", NAMES)
def test_no_forbidden_construct(name: str) -> None:
    tree = ast.parse((SOURCE / name).read_text(encoding="utf-8"))
    found = list(faults(tree, may_print=name == "cli/commands.py"))
    assert [fault for fault in found if name not in ALLOWED or not fault.endswith(ALLOWED[name])] == []


@pytest.mark.parametrize(
    "code",
    ["import pickle", "from yaml import load", "torch.load(x)", "print(1)", "try:\n x\nexcept:\n y"],
)
def test_the_rules_find_what_they_forbid(code: str) -> None:
    assert list(faults(ast.parse(code), may_print=False))


@pytest.mark.parametrize("name", NAMES)
def test_every_file_says_what_it_is(name: str) -> None:
    assert ast.get_docstring(ast.parse((SOURCE / name).read_text(encoding="utf-8")))


def test_no_utils() -> None:
    parts = {part for name in NAMES for part in Path(name).with_suffix("").parts}
    assert not parts & {"utils", "util", "helpers", "helper", "common", "misc", "manager"}


def fresh(code: str) -> list[str]:
    """Modules that a fresh interpreter has after `code`."""
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint('\\n'.join(sys.modules))"],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return done.stdout.split()


HEAVY = {
    "torch",
    "scanpy",
    "anndata",
    "openslide",
    "tifffile",
    "PIL",
    "matplotlib",
    "timm",
    "pandas",
    "sklearn",
    "h5py",
    "shapely",
    "jinja2",
}


@pytest.mark.parametrize(
    ("module", "allowed"),
    [
        ("eosin", set()),
        ("eosin.cli", set()),
        ("eosin.types", set()),
        ("eosin.slide", {"PIL"}),
        ("eosin.geometry", set()),
        ("eosin.metrics", set()),
        ("eosin.data", set()),
        ("eosin.genes", set()),
    ],
)
def test_importing_stays_light(module: str, allowed: set[str]) -> None:
    assert not (HEAVY - allowed) & set(fresh(f"import {module}"))


@pytest.mark.parametrize("name", eosin.__all__)
def test_public_names_exist_and_are_documented(name: str) -> None:
    thing = getattr(eosin, name)
    if callable(thing):
        assert inspect.getdoc(thing), name
        assert name in dir(eosin)


def test_unknown_public_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        _ = eosin.nonsense


def test_verbs_of_library_and_command_line_take_the_same() -> None:
    """What both can set is called the same in both; files and tables are the command line's own."""
    from typing import get_args, get_type_hints

    import eosin
    from eosin.cli import commands as cli

    for verb in ("info", "encode", "train", "predict", "score", "report", "bench", "study", "export"):
        function = getattr(cli, verb)
        hints = get_type_hints(function, include_extras=True)
        spoken = set()
        for name in inspect.signature(function).parameters:
            record = (get_args(hints[name]) or (hints[name],))[0]
            spoken |= {field.name for field in fields(record)} if is_dataclass(record) else {name}
        written = set(inspect.signature(getattr(eosin, verb)).parameters)
        if verb in ("encode", "export", "predict", "report", "score"):  # one command for a slide and for a cohort
            written |= set(inspect.signature(getattr(eosin, f"{verb}_cohort")).parameters)
        other = {"run", "target", "encoder", "json"}  # a checkpoint is a model; one encoder, or several; how it prints
        other |= {"on"} if verb == "train" else set()  # a program is started in several processes, not a function
        assert spoken - other <= written, verb
        assert len(spoken) > 5 or verb == "info", verb  # the records were looked into


def test_every_setting_says_what_it_is(classes: list[type]) -> None:
    from eosin.config import Settings

    records = [kind for kind in classes if issubclass(kind, Settings) and kind is not Settings]
    assert len(records) >= 5
    for record in records:
        missing = [name for name, field in record.model_fields.items() if not field.description]
        assert missing == [], record
        if not any(field.is_required() for field in record.model_fields.values()):
            record.of({})  # defaults are valid


def test_no_machine_path_and_no_address_of_an_index() -> None:
    for file in FILES:
        text = file.read_text(encoding="utf-8")
        assert not any(mark in text for mark in ("/home/", "/Users/", "index-url")), file


def imported(tree: ast.AST) -> Iterator[str]:
    """Modules that a file imports, wherever it does: at the top, inside a function, for type checkers only."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def import_graph(sources: dict[str, str]) -> dict[str, set[str]]:
    """Which of these modules imports which; a name that is no module of its own belongs to the one that has it."""
    graph: dict[str, set[str]] = defaultdict(set)
    for module, text in sources.items():
        for name in imported(ast.parse(text)):
            home = name if name in sources else name.rpartition(".")[0]
            if home in sources and home != module:
                graph[module].add(home)
    return graph


def circle(graph: dict[str, set[str]]) -> list[str]:
    """Modules that import one another in a ring; none if there is no such."""
    done: set[str] = set()

    def follow(module: str, way: list[str]) -> list[str]:
        if module in way:
            return way[way.index(module) :]
        if module in done:
            return []
        for other in sorted(graph.get(module, ())):
            if ring := follow(other, [*way, module]):
                return ring
        done.add(module)
        return []

    for module in sorted(graph):
        if ring := follow(module, []):
            return ring
    return []


def module_of(name: str) -> str:
    parts = Path("eosin", name).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def test_no_circle_of_imports_not_even_lazily_or_for_types() -> None:
    sources = {module_of(name): (SOURCE / name).read_text(encoding="utf-8") for name in NAMES}
    assert circle(import_graph(sources)) == []


@pytest.mark.parametrize(
    "back",
    ["from p.a import x", "def f():\n from p import a", "if TYPE_CHECKING:\n import p.a"],
    ids=["plain", "lazy", "types"],
)
def test_a_circle_is_found_however_it_hides(back: str) -> None:
    sources = {"p": "", "p.a": "from p.b import y", "p.b": "import p.c", "p.c": back}
    assert sorted(circle(import_graph(sources))) == ["p.a", "p.b", "p.c"]
    assert circle(import_graph({**sources, "p.c": ""})) == []


def test_no_function_takes_more_than_ten_parameters() -> None:
    """Compiled kernels apart: they take arrays only."""
    wrong = []
    for name in NAMES:
        if "edge_kernels" in name:
            continue
        for node in ast.walk(ast.parse((SOURCE / name).read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                given = node.args
                n = len([*given.posonlyargs, *given.args, *given.kwonlyargs])
                n -= bool(given.args) and given.args[0].arg in {"self", "cls"}
                if n > 10:
                    wrong.append(f"{name}:{node.lineno} {node.name}: {n}")
    assert wrong == []


def test_the_room_of_models_holds_models_and_nothing_else() -> None:
    from eosin.models import MODELS

    there = {Path(name).parts[1].removesuffix(".py") for name in NAMES if Path(name).parts[0] == "models"}
    ours = {name for name in MODELS if MODELS[name].settings.__module__.startswith("eosin.")}
    assert there - {"__init__", "base", "check", "parts"} == {name.replace("-", "_") for name in ours}


def test_one_basename_means_one_thing() -> None:
    """Beside what every room may have: its interface, its check; and a verb may be called as what does its work."""
    homes: dict[str, list[str]] = defaultdict(list)
    for name in NAMES:
        if Path(name).parts[0] != "api":
            homes[Path(name).name].append(name)
    twice = {base: where for base, where in homes.items() if len(where) > 1}
    assert set(twice) <= {"__init__.py", "base.py", "check.py"}, twice


@pytest.mark.parametrize(
    "file", sorted((Path(__file__).parent.parent / "reference").glob("*_literal.py")), ids=lambda file: file.name
)
def test_literal_formulas_import_nothing_of_eosin(file: Path) -> None:
    """A formula that is taken from what it checks agrees with it whatever is wrong."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        assert not [name for name in names if name.partition(".")[0] == "eosin"], f"{file.name} imports eosin"
