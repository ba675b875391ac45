"""Puts one-line faults into the code, one at a time, and asks whether the tests of the room see them.

    python benchmarks/put_in_faults.py models metrics --each 15 --seed 0 --out faults.jsonl

A fault is one changed place: a comparison moved by one or turned round, `+` for `-`, `*` for `/`, `and` for `or`, a
`not` taken away, a whole number one larger, a float doubled, `True` for `False`, `min` for `max`, one axis for the
other, an argument of a call left out, a statement left out. The code is copied to a folder of its own first. Tests
named after the changed file run first, then those of the room, then laws, literal references and contracts. What no
test sees is printed with its line: a fault that changes nothing a user could see is for the reader to strike out.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

HERE = Path(__file__).parents[1]
LIMIT_S = 900
_SWAPPED = {
    ast.Lt: "<=",
    ast.LtE: "<",
    ast.Gt: ">=",
    ast.GtE: ">",
    ast.Eq: "!=",
    ast.NotEq: "==",
    ast.Is: "is not",
    ast.IsNot: "is",
    ast.In: "not in",
    ast.NotIn: "in",
    ast.Add: "-",
    ast.Sub: "+",
    ast.Mult: "/",
    ast.Div: "*",
    ast.FloorDiv: "/",
    ast.And: "or",
    ast.Or: "and",
}
_NAMES = {"min": "max", "max": "min", "minimum": "maximum", "maximum": "minimum", "floor": "ceil", "ceil": "floor"}
_NAMES |= {"argmin": "argmax", "argmax": "argmin", "any": "all", "all": "any", "zeros": "ones", "ones": "zeros"}


@dataclass(frozen=True)
class Fault:
    """One changed place of one file: characters `start` to `end` become `new`."""

    file: str
    line: int
    start: int
    end: int
    old: str
    new: str
    kind: str


def faults_of(file: Path, root: Path) -> Iterator[Fault]:
    """All faults that can be put into a file; words for people and annotations are left alone."""
    return (fault for fault in _places(file, root) if _parses(file.read_bytes(), fault))


def _parses(raw: bytes, fault: Fault) -> bool:
    try:
        ast.parse(with_fault(raw, fault))
    except SyntaxError:  # a bracket lies between the two sides
        return False
    return True


def with_fault(raw: bytes, fault: Fault) -> bytes:
    """The text of a file with the fault in it."""
    return raw[: fault.start] + fault.new.encode() + raw[fault.end :]


def _places(file: Path, root: Path) -> Iterator[Fault]:
    source = file.read_text()
    tree = ast.parse(source)
    starts = [0]
    for line in source.encode().splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    raw = source.encode()

    def at(line: int, column: int) -> int:
        return starts[line - 1] + column

    def fault(node: ast.AST, start: int, end: int, new: str, kind: str) -> Fault:
        return Fault(str(file.relative_to(root)), node.lineno, start, end, raw[start:end].decode(), new, kind)

    skipped = _not_code(tree)
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in _SWAPPED:
            a, b = at(node.left.end_lineno, node.left.end_col_offset), at(*_begin(node.comparators[0]))
            yield fault(node, a, b, f" {_SWAPPED[type(node.ops[0])]} ", "comparison")
        elif isinstance(node, ast.BinOp) and type(node.op) in _SWAPPED and not _of_text(node):
            a, b = at(node.left.end_lineno, node.left.end_col_offset), at(*_begin(node.right))
            text = raw[a:b].decode()
            if text.strip(" \n") in {"+", "-", "*", "/", "//"}:
                yield fault(node, a, b, f" {_SWAPPED[type(node.op)]} ", "arithmetic")
        elif isinstance(node, ast.BoolOp):
            left, right = node.values[0], node.values[1]
            a, b = at(left.end_lineno, left.end_col_offset), at(*_begin(right))
            text = raw[a:b].decode()
            if text.strip(" \n") in {"and", "or"}:
                yield fault(node, a, b, f" {_SWAPPED[type(node.op)]} ", "and/or")
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.Invert | ast.USub):
            a, b = at(*_begin(node)), at(*_begin(node.operand))
            yield fault(node, a, b, "", "sign or not")
        elif isinstance(node, ast.Constant) and isinstance(node.value, bool | int | float):
            a, b = at(*_begin(node)), at(node.end_lineno, node.end_col_offset)
            new = repr(not node.value) if isinstance(node.value, bool) else repr(node.value + 1)
            new = repr(2 * node.value or 1.0) if isinstance(node.value, float) else new
            yield fault(node, a, b, new, "constant")
        elif isinstance(node, ast.Attribute | ast.Name):
            name = node.attr if isinstance(node, ast.Attribute) else node.id
            if name in _NAMES:
                end = at(node.end_lineno, node.end_col_offset)
                yield fault(node, end - len(name), end, _NAMES[name], "name")
        elif isinstance(node, ast.Expr | ast.AugAssign | ast.Raise) and node.lineno == node.end_lineno:
            yield fault(node, at(*_begin(node)), at(node.end_lineno, node.end_col_offset), "pass", "statement left out")


def _begin(node: ast.AST) -> tuple[int, int]:
    return node.lineno, node.col_offset


def _of_text(node: ast.BinOp) -> bool:
    sides = (node.left, node.right)
    return any(
        isinstance(s, ast.JoinedStr) or (isinstance(s, ast.Constant) and isinstance(s.value, str)) for s in sides
    )


def _not_code(tree: ast.AST) -> set[int]:
    """Nodes in docstrings, messages of errors and logs, annotations, decorators, and defaults of settings."""
    inner: list[ast.AST] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            inner += [*node.decorator_list, *([node.returns] if node.returns else [])]
            inner += [a.annotation for a in [*node.args.args, *node.args.kwonlyargs] if a.annotation]
        elif isinstance(node, ast.AnnAssign):
            inner.append(node.annotation)
        elif isinstance(node, ast.ClassDef):
            inner += [*node.decorator_list, *(part for part in node.body if isinstance(part, ast.AnnAssign))]
        elif isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Call) and _speaks(node)) or _is_words(node):
            inner.append(node)
    return {id(each) for node in inner for each in ast.walk(node)}


def _speaks(call: ast.Call) -> bool:
    called = ast.unparse(call.func)
    return called.startswith("log.") or called == "EosinError"


def _is_words(node: ast.AST) -> bool:
    if isinstance(node, ast.If):
        return ast.unparse(node.test) == "TYPE_CHECKING"
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def seen(fault: Fault, copy: Path, room: str) -> str | None:
    """Which round of tests sees the fault; None: no test does."""
    file = copy / fault.file
    whole = file.read_bytes()
    file.write_bytes(with_fault(whole, fault))
    try:
        for name, tests in rounds(file.stem, copy, room):
            if tests and _fails(tests, copy):
                return name
        return None
    finally:
        file.write_bytes(whole)


def rounds(stem: str, copy: Path, room: str) -> list[tuple[str, list[str]]]:
    """Tests named after the file; all of its room; those that stand above the rooms."""
    unit = copy / "tests" / "unit" / room
    own = sorted(str(p) for p in unit.rglob("test_*.py") if stem in p.stem)
    above = {"models": ["reference", "contract", "laws"], "generative": ["reference", "laws"]}.get(room, ["laws"])
    return [("own", own), ("room", [str(unit)]), ("above", [str(copy / "tests" / name) for name in above])]


def _fails(tests: list[str], copy: Path) -> bool:
    paths = f"{copy / 'src'}{os.pathsep}{copy / 'tests'}"
    environment = os.environ | {"PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "pytest", "-x", "-q", "--no-header", "-p", "no:cacheprovider", "-m", "not long"]
    try:
        ended = subprocess.run([*command, *tests], cwd=copy, env=environment, capture_output=True, timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        return True
    return ended.returncode not in (0, 5)


def main() -> None:
    """Parse the command line, put the faults in, print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rooms", nargs="+")
    parser.add_argument("--each", type=int, default=15, help="faults a room")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("faults.jsonl"), help="one line a fault, as they are tried")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "eosin"
        ignore = shutil.ignore_patterns(".venv", ".git", "__pycache__", "demo", "*.h5ad")
        shutil.copytree(HERE, copy, ignore=ignore, symlinks=True)
        for room in asked.rooms:
            files = sorted((copy / "src" / "eosin" / room).rglob("*.py"))
            possible = [fault for file in files for fault in faults_of(file, copy)]
            chosen = random.Random(f"{asked.seed} {room}").sample(possible, min(asked.each, len(possible)))
            n_seen = 0
            for fault in chosen:
                by = seen(fault, copy, room)
                n_seen += by is not None
                with asked.out.open("a") as out:
                    out.write(json.dumps({"room": room, "seen_by": by, **asdict(fault)}) + "\n")
                if by is None:
                    print(f"  not seen: {fault.file}:{fault.line}: {fault.old!r} -> {fault.new!r}", flush=True)
            print(f"{room}: {n_seen} of {len(chosen)} seen (of {len(possible)} possible places)", flush=True)


if __name__ == "__main__":
    main()
