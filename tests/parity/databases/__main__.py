"""The databases from the command line.

python -m tests.parity.databases                      the table of all databases, by namespace
python -m tests.parity.databases operators            that of one
python -m tests.parity.databases operators add sum    what is wrong with these entries
    --area linalg     the entries of that namespace
    --dtype float32   only with these dtypes (may be repeated)
    --errors          only the error inputs
    --gaps            note what fails of what was run in gaps/, and strike out what passes
python -m tests.parity.databases --write              write docs/coverage.md
"""

from __future__ import annotations

import argparse
import sys
import time

from tests.parity.databases import coverage, gaps
from tests.parity.databases.coverage import DATABASES, Row, load
from tests.parity.databases.entry import Entry


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m tests.parity.databases",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("database", nargs="?", choices=DATABASES)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--area", action="append")
    parser.add_argument("--dtype", action="append")
    parser.add_argument("--known", action="store_true")
    parser.add_argument("--errors", action="store_true")
    parser.add_argument("--gaps", action="store_true")
    parser.add_argument("--write", action="store_true")
    return parser.parse_args(argv)


def _chosen(args: argparse.Namespace, database: str, entries: dict[str, Entry]) -> list[Entry]:
    unknown = [n for n in args.names if n not in entries]
    if unknown:
        sys.exit(f"no such entry: {', '.join(unknown)}")
    known = {name for name, _ in gaps.read(database)}
    return [
        e
        for e in entries.values()
        if (not args.names or e.name in args.names)
        and (not args.area or e.area in args.area)
        and (not args.known or e.name in known)
    ]


def _run(entry: Entry, args: argparse.Namespace) -> Row:
    values = []
    if not args.errors:
        values = entry.values(tuple(args.dtype) if args.dtype else None)
    errors = entry.errors() if args.errors or not args.dtype else []
    return Row(entry, values, errors)


def _update_gaps(database: str, entries: dict[str, Entry], rows: list[Row]) -> None:
    """Note what fails now, with the reason that stands there already where there is one."""
    known = gaps.read(database)
    now = {key: why for key, why in known.items() if key[0] in entries}
    for row in rows:
        for question, lines in row.failures().items():
            key = (row.entry.name, question)
            now.pop(key, None)
            if lines:
                now[key] = known.get(key) or lines[0].partition("\n")[0][:160]
    gaps.write(database, {n: e.area for n, e in entries.items()}, now)


def main(argv: list[str]) -> int:
    """Run what the command line asks for; 1 where something named fails."""
    args = _parse(argv)
    results: dict[str, list[Row]] = {}
    detailed = bool(args.names or args.area or args.known or args.dtype or args.errors)
    for database in [args.database] if args.database else DATABASES:
        entries = load(database)
        rows = results[database] = []
        for entry in _chosen(args, database, entries):
            if entry.left_out is not None:
                rows.append(Row(entry))
                continue
            start = time.perf_counter()
            row = _run(entry, args)
            row.seconds = time.perf_counter() - start
            rows.append(row)
            if detailed or row.failed:
                print(row.text(), flush=True)
        if args.gaps and not args.dtype and not args.errors:
            _update_gaps(database, entries, rows)
    print(coverage.table(results))
    if args.write:
        coverage.write(results)
    return int(bool(args.names) and any(row.failed for rows in results.values() for row in rows))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
