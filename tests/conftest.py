"""What holds for all tests: the user's cache stays as it is, order does not matter, and workers share the cores."""

from __future__ import annotations

import gc
import os
import random
import signal
from collections.abc import Iterator
from itertools import groupby

import pytest

FIRST = (
    "unit/models/test_settings.py",  # compiles the kernels, which the other workers then find on disk
    "unit/encoders/test_zoo.py",  # needs no kernel
    "cli/test_bad_input.py",
    "cli/test_verbs.py",
    "cli/test_cohort_chaos.py",
    "real/test_encoders_real.py",
    "cli/test_extend.py",
    "unit/data/test_hostile.py",
    "unit/reporting/test_report.py",
    "contract/test_encoders.py",
    "unit/engine/test_training.py",
    "unit/benchmark/test_grid.py",
    "cli/test_examples.py",
    "unit/data/readers/test_spatialdata.py",
    "unit/encoders/test_tensor_names.py",
    "unit/models/test_flag.py",
)
"""The files that take longest, longest first: one that starts late is waited for while the other workers are idle."""


def pytest_configure(config: pytest.Config) -> None:
    # Workers and processes that tests start keep what they compile: else each compiles its libraries again, for 10 s.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    # A shell starts what runs in its background deaf to Ctrl-C, which some tests send.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    n_workers = config.getoption("numprocesses", None)
    if n_workers:
        # Workers with a thread for each core wait for one another: the kernel then takes five times as long. They get
        # this process's environment, and have loaded NumPy before they see this file.
        os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // n_workers)))
        config.option.loadscopereorder = False  # else pytest-xdist starts with the files that hold most tests


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--shuffle", type=int, metavar="SEED", help="run the files, and the tests of each, in another order"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    files = [list(tests) for _, tests in groupby(items, key=lambda item: item.path)]
    seed = config.getoption("--shuffle")
    if seed is None:
        place = {config.rootpath / "tests" / name: i for i, name in enumerate(FIRST)}
        files.sort(key=lambda tests: place.get(tests[0].path, len(FIRST)))
    else:
        rng = random.Random(seed)  # the same in every worker
        rng.shuffle(files)
        for tests in files:
            rng.shuffle(tests)
    items[:] = [item for tests in files for item in tests]


def pytest_collection_finish() -> None:
    """Keep what collection loaded out of every later search for garbage, which takes 0.2 s else."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Features that no place is given for go into a temporary folder, also in processes that tests start."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EOSIN_CACHE", str(tmp_path_factory.mktemp("eosin-cache")))
        yield
