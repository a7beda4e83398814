#!/usr/bin/env python3
"""Analyzes generated modules that are far larger than memory: one dict, many functions and classes, one class, one function, one `if`,
one string. Each must be complete, within a memory control group, on threads and in processes.

By default the modules have 8 MB and the group 96 MB; the size and the group that the program is held to are 1024 MB in 256 MB:

    scripts/check_huge.py --size-mb 1024

Where the sizes are small the graph is compared with that of a run without a limit. Needs the right to make a control group (version 1 or 2).
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import harness

MB = 1 << 20
STRATEGIES = ("thread", "process")
# Above this size no run is made without a limit: it would take as much memory as there is.
COMPARED_MB = 64


def words(number: int) -> str:
    """Some text that differs from number to number."""
    kinds = ("order", "invoice", "customer", "ledger", "parcel", "route", "tariff", "voucher")
    return f"{kinds[number % 8]} {kinds[number // 8 % 8]} {number * 2654435761 % 1000003}"


def parts(size: int, part: Callable[[int], str]) -> Iterator[str]:
    """Numbered parts, until there are `size` bytes of them."""
    number = written = 0
    while written < size:
        text = part(number)
        written += len(text)
        yield text
        number += 1


def dictionary(size: int) -> Iterator[str]:
    yield "TABLE = {\n"
    yield from parts(
        size,
        lambda number: (
            f"    'key_{number}': {{'name': '{words(number)}', 'price': {number % 9973}.25, 'tags': ['{words(number + 1)}', {number}, None],\n"
            f"        'nested': {{'left': {number * 7}, 'right': -{number % 31}, 'text': \"{words(number + 2)}\", 'flag': {number % 2 == 0}}}}},\n"
        ),
    )
    yield "}\n"


def function(number: int, indent: str, head: str) -> str:
    return (
        f"{indent}def handle_{number}({head}account_{number}, amount: int = {number % 97}, *rest, **options) -> dict:\n"
        f'{indent}    """Handles the {words(number)}.\n\n{indent}    The amount is in cents; what is left goes to the {words(number + 3)}.\n{indent}    """\n'
        f"{indent}    total_{number} = amount * {number % 13 + 1} + len(rest)\n"
        f"{indent}    if total_{number} > {number % 1000}:\n"
        f"{indent}        total_{number} = adjust(account_{number}, total_{number}, options.get('rate', {number % 7}))\n"
        f"{indent}    return record(account_{number}.owner, total_{number}, note='{words(number + 5)}')\n\n"
    )


def definition(number: int) -> str:
    if number % 5 == 4:
        return f"class Model{number}(object):\n    \"\"\"Keeps the {words(number)}.\"\"\"\n\n    kind = '{words(number)}'\n\n" + function(number, "    ", "self, ")
    return function(number, "", "")


def definitions(size: int) -> Iterator[str]:
    yield "from helpers import adjust, record\n\n"
    yield from parts(size, definition)


def one_class(size: int) -> Iterator[str]:
    yield 'from helpers import adjust, record\n\n\nclass Everything:\n    """Has too many methods."""\n\n'
    yield from parts(size, lambda number: function(number, "    ", "self, "))


def statements(size: int) -> Iterator[str]:
    yield from parts(
        size,
        lambda number: f"    value_{number} = record({number}, 'part {number % 1009}', adjust(value_{max(number - 1, 0)}, {number % 17}))\n",
    )


def one_function(size: int) -> Iterator[str]:
    yield "from helpers import adjust, record\n\n\ndef everything(value_0):\n"
    yield from statements(size)
    yield "    return value_0\n"


def one_if(size: int) -> Iterator[str]:
    yield "from helpers import adjust, record\n\nvalue_0 = 0\nif value_0 == 0:\n"
    yield from statements(size)


def one_string(size: int) -> Iterator[str]:
    yield 'TEXT = """\n'
    yield from parts(
        size,
        lambda number: f"The {words(number)} said: it's \"{number}\" (or more), {{and}} so on.\n",
    )
    yield '"""\n'


@dataclass
class Shape:
    """A way to make a large module. Besides functions and classes it has so many variables, and one for each part that begins so."""

    name: str
    make: Callable[[int], Iterator[str]]
    variables: int = 0
    counted: str = ""

    def write(self, folder: Path, size: int) -> dict[str, int]:
        """Writes the module and a small one beside it; what is in both."""
        folder.mkdir(parents=True)
        (folder / "helpers.py").write_text("def adjust(*values):\n    return values\n\n\ndef record(*values, **more):\n    return values\n")
        counts = {"function": 2, "method": 0, "class": 0, "variable": self.variables}
        with open(folder / "huge.py", "w", encoding="ascii") as out:
            for part in self.make(size):
                out.write(part)
                if "def " in part:
                    inner = part.find("def ") > 0 and part[part.find("def ") - 1] == " "
                    counts["method" if inner else "function"] += 1
                if part.startswith("class ") or "\nclass " in part:
                    counts["class"] += 1
                counts["variable"] += part.startswith(self.counted) if self.counted else 0
        return counts


SHAPES = [
    Shape("dict", dictionary, variables=1),
    Shape("definitions", definitions),
    Shape("class", one_class),
    Shape("function", one_function),
    Shape("if", one_if, counted="    value_"),
    Shape("string", one_string, variables=1),
]


class Group:
    """A memory control group of this test's own."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        old = Path("/sys/fs/cgroup/memory")
        self.unified = not old.is_dir()
        parent = Path("/sys/fs/cgroup") if self.unified else old
        self.path = parent / f"pydebug-huge-{os.getpid()}"
        self.path.mkdir()
        try:
            self.write("memory.max" if self.unified else "memory.limit_in_bytes", limit)
            if self.unified:
                self.write("memory.swap.max", 0)
        except OSError:
            self.path.rmdir()
            raise

    def write(self, name: str, value: int) -> None:
        (self.path / name).write_text(str(value))

    def read(self, name: str) -> str:
        try:
            return (self.path / name).read_text()
        except OSError:
            return ""

    def enter(self) -> None:
        """To be called by a child before it becomes the program."""
        (self.path / "cgroup.procs").write_text(str(os.getpid()))

    def peak(self) -> int:
        said = self.read("memory.peak" if self.unified else "memory.max_usage_in_bytes").strip()
        return int(said or 0)

    def remove(self) -> None:
        # Pages that were charged to it may keep it for a moment; then the system removes it with its parent.
        try:
            self.path.rmdir()
        except OSError:
            pass


@dataclass
class Ran:
    code: int
    report: dict[str, Any]
    said: str
    seconds: float
    # Of memory that is no page of a file, the most that one process had, as looked at now and then.
    private: int
    group: int


def private_bytes(parent: int) -> int:
    """The most anonymous memory that the process or one of its children has now."""
    most = 0
    tasks = Path(f"/proc/{parent}/task")
    ids = [parent]
    try:
        for task in tasks.iterdir():
            ids += [int(child) for child in (task / "children").read_text().split()]
    except OSError:
        pass
    for process in ids:
        try:
            for line in Path(f"/proc/{process}/status").read_text().splitlines():
                if line.startswith("RssAnon:"):
                    most = max(most, int(line.split()[1]) << 10)
        except OSError:
            pass
    return most


def run(binary: Path, tree: Path, cache: Path, strategy: str, group: Group | None) -> Ran:
    """One run, within the group if there is one."""
    out = cache.parent / "report.json"
    out.unlink(missing_ok=True)
    command = [str(binary), "analyze", ".", "--output-format", "json", "-o", str(out), "--cache-dir", str(cache), "--strategy", strategy]
    environment = harness.environment() | {"PARSER_FILE_TIMEOUT_SECONDS": "3600"}
    started = time.monotonic()
    with tempfile.TemporaryFile() as said:
        child = subprocess.Popen(command, cwd=tree, env=environment, stdout=said, stderr=said, preexec_fn=group.enter if group else None)
        seen, over = [0], threading.Event()

        def look() -> None:
            while not over.wait(0.05):
                seen[0] = max(seen[0], private_bytes(child.pid))

        watch = threading.Thread(target=look)
        watch.start()
        code = child.wait()
        over.set()
        watch.join()
        said.seek(0)
        text = said.read().decode(errors="replace")[-1500:]
    report = json.loads(out.read_text()) if code == 0 and out.exists() else {}
    return Ran(code, report, text, time.monotonic() - started, seen[0], group.peak() if group else 0)


def judge(checks: harness.Checks, name: str, ran: Ran, expected: dict[str, int]) -> bool:
    """Whether a run did all that it should."""
    killed = f"killed by {signal.Signals(-ran.code).name}" if ran.code < 0 else f"gave {ran.code}"
    if not checks.check(ran.code == 0, f"{name}: {killed}: {ran.said}"):
        return False
    files = {file["path"]: file for file in ran.report["files"]}
    status = files["huge.py"]["status"]
    checks.check(status == "complete", f"{name}: huge.py is {status}: {files['huge.py'].get('reason')}")
    totals = ran.report["symbols"]
    found = {kind: totals.get(kind, 0) for kind in expected}
    return checks.check(found == expected, f"{name}: found {found}, not {expected}")


def main() -> int:
    parser = harness.parser(__doc__)
    parser.add_argument("--size-mb", type=int, default=8, help="size of each module (default 8)")
    parser.add_argument("--limit-mb", type=int, default=0, help="limit of the group (else 256, or 96 for sizes up to 16 MB)")
    parser.add_argument("--shape", action="append", choices=[shape.name for shape in SHAPES], help="only this one; can be repeated")
    parser.add_argument("--strategy", action="append", choices=STRATEGIES, help="only this one; can be repeated")
    parser.add_argument("--folder", type=Path, default=None, help="where to write the modules (else a temporary folder)")
    given = parser.parse_args()
    binary = harness.find_binary(given.binary)
    limit = given.limit_mb or (96 if given.size_mb <= 16 else 256)
    checks = harness.Checks()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        Group(limit * MB).remove()
    except OSError as error:
        print(f"!!!! SKIPPED: no memory control group can be made ({error}): huge modules are not checked within a limit", flush=True)
        return 1 if os.environ.get("CI") == "true" else checks.finish()
    with tempfile.TemporaryDirectory(dir=given.folder, prefix="pydebug-huge-") as made:
        for shape in SHAPES:
            if given.shape and shape.name not in given.shape:
                continue
            tree = Path(made) / shape.name / "tree"
            expected = shape.write(tree, given.size_mb * MB)
            digest = None
            if given.size_mb <= COMPARED_MB:
                free = run(binary, tree, tree.parent / "free", "thread", None)
                judge(checks, f"{shape.name} without a limit", free, expected)
                digest = free.report.get("graph_digest")
            for strategy in given.strategy or STRATEGIES:
                name = f"{shape.name} by {strategy} in {limit} MB"
                group = Group(limit * MB)
                try:
                    ran = run(binary, tree, tree.parent / strategy, strategy, group)
                finally:
                    group.remove()
                if judge(checks, name, ran, expected) and digest:
                    checks.check(ran.report["graph_digest"] == digest, f"{name}: the graph differs from that without a limit")
                print(f"{name}: {ran.seconds:.1f} s, {ran.private / MB:.0f} MB of its own at most, {ran.group / MB:.0f} MB in the group", flush=True)
            # The next one needs the space.
            subprocess.run(["rm", "-rf", str(tree.parent)], check=True)
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
