"""Every case, by family; a file of this folder holds one family or a few neighbours."""

import importlib
import pkgutil

from tests.parity.case import Family, Op


def _families() -> list[Family]:
    found = []
    for module in sorted(pkgutil.iter_modules(__path__), key=lambda m: m.name):
        table = importlib.import_module(f"{__name__}.{module.name}")
        found += [item for item in vars(table).values() if isinstance(item, Family)]
    return found


FAMILIES: list[Family] = _families()
CASES: list[Op] = [op for family in FAMILIES for op in family]
RUNS: list[tuple[Op, str]] = [(op, dtype) for op in CASES for dtype in op.dtypes]


def run_id(run: tuple[Op, str]) -> str:
    """`family/name` and the dtype where it is not the case's first."""
    op, dtype = run
    return op.key if dtype == op.dtypes[0] else f"{op.key}-{dtype}"
