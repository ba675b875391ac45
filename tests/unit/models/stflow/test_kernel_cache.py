"""What numba has compiled is made again after any file of the kernels has changed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from eosin import compiled
from eosin.models.stflow import edge_kernels

_RUN = """
import numpy as np
from eosin.models.stflow.edge_kernels import mix
ones = lambda *shape: np.ones(shape, np.float32)
out = ones(1, 2)
mix(0, 1, ones(1, 1, 1), ones(1, 1), ones(1, 1, 1), np.zeros((1, 1), np.int64), out)
print(out[0, 0], sum(mix.stats.cache_hits.values()))
"""


def run(folder: Path) -> tuple[float, int]:
    """A weighted sum (1) by the kernels in `folder`, and how often it came compiled from disk."""
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    environment.pop("NUMBA_CACHE_DIR", None)
    done = subprocess.run([sys.executable, "-c", _RUN], env=environment, capture_output=True, text=True, check=True)
    value, hits = done.stdout.split()
    return float(value), int(hits)


def test_an_edit_of_a_part_is_noticed_by_the_kernels_of_other_files(tmp_path: Path) -> None:
    kernels = tmp_path / "eosin" / "models" / "stflow" / "edge_kernels"
    source = Path(edge_kernels.__file__).parent
    shutil.copytree(source, kernels, ignore=shutil.ignore_patterns("__pycache__"))
    for package in (kernels.parent, kernels.parents[1], kernels.parents[2]):
        (package / "__init__.py").touch()
    shutil.copy(compiled.__file__, tmp_path / "eosin")
    assert run(tmp_path) == (1, 0)
    assert run(tmp_path) == (1, 1)
    part = kernels / "elementary.py"
    text, sum_of_shares = part.read_text(), "message[c] += spread[c] * near[c]"
    assert text.count(sum_of_shares) == 1
    part.write_text(text.replace(sum_of_shares, "message[c] += 3 * spread[c] * near[c]"))
    assert run(tmp_path) == (3, 0)  # `mix` itself stands in another file
