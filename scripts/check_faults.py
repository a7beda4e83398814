"""Kills runs and damages the cache, at random: every run that follows must end well and give what a clean run gives.

Two parts. *Kills*: a run over a copy of a real package is ended by SIGKILL at a random moment, then a run goes over what it left.
*Damage*: files of a warm cache are flipped, cut, deleted, swapped, zeroed, overwritten, appended to or given another version, then a run of a
random kind goes over them (a report or a call graph from the damaged snapshot, or a relink after an edit), then one more.
Everything random comes from a seed that a failure names: `--seed S --kills 1 --damages 0` plays one again.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness import ROOT, Checks, Pydebug, Trouble, environment, find_binary, parser, python_files

PAGE = 4096
EDIT = "def added_{n}(value):\n    return added_{n}(value) or print(value)\n"
# What a run costs, what went wrong in it and whether its facts came from the cache may differ; all else is the answer.
COSTS = ("metrics", "phases", "warnings", "recovery")


def copy(source: Path, target: Path) -> None:
    shutil.copytree(source, target, symlinks=True, ignore=shutil.ignore_patterns("__pycache__", ".cache", ".git"))


def answer(report: dict[str, Any]) -> dict[str, Any]:
    """What a report says of the tree, without what it says of the run."""
    files = [{key: value for key, value in entry.items() if key != "cached"} for entry in report["files"]]
    return {key: value for key, value in report.items() if key not in COSTS} | {"files": files}


class Killer:
    """Ends runs over one tree at random moments."""

    def __init__(self, pydebug: Pydebug, source: Path, scratch: Path, checks: Checks) -> None:
        self.pydebug, self.checks, self.scratch = pydebug, checks, scratch
        self.tree, self.cache = scratch / "tree", scratch / "cache"
        copy(source, self.tree)
        self.files = python_files(self.tree)
        self.digest = pydebug.analyze(self.tree, None)["graph_digest"]
        started = time.monotonic()
        pydebug.analyze(self.tree, self.cache)
        self.usual = time.monotonic() - started
        self.said: Counter[str] = Counter()

    def start(self) -> subprocess.Popen[bytes]:
        command = [self.pydebug.path, "analyze", ".", "-q", "--output-format", "json", "--cache-dir", self.cache]
        return subprocess.Popen(command, cwd=self.tree, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)

    def prepare(self, chance: random.Random) -> tuple[str, float]:
        """Leaves something to do, or nothing; says what, and how long a run may then take."""
        kind = chance.choice(["cold", "cold", "edited", "edited", "touched", "warm", "no snapshot"])
        if kind == "cold":
            shutil.rmtree(self.cache, ignore_errors=True)
            return kind, self.usual
        if kind == "edited":
            for path in chance.sample(self.files, min(chance.choice([1, 20, 200]), len(self.files))):
                with open(self.tree / path, "a", encoding="utf-8", errors="surrogateescape") as file:
                    file.write("\n\n" + EDIT.format(n=chance.randrange(1000)))
            self.digest = self.pydebug.analyze(self.tree, None)["graph_digest"]
        elif kind == "touched":
            for path in self.files:
                os.utime(self.tree / path)
        elif kind == "no snapshot":
            for path in self.cache.glob("v1/snapshots/*"):
                path.unlink()
        return kind, self.usual / (2 if kind != "warm" else 20)

    def kill(self, seed: int) -> None:
        chance = random.Random(seed)
        kind, longest = self.prepare(chance)
        other = self.start() if chance.random() < 0.2 else None
        child = self.start()
        time.sleep(chance.random() * longest)
        child.kill()
        child.communicate()
        ended = "killed" if child.returncode == -9 else "ended first"
        what = f"seed {seed}: {kind}, {ended}"
        if other is not None:
            text = other.communicate()[0].decode()
            said = self.pydebug.decode(text, "analyze beside a killed run") if other.returncode == 0 else {}
            self.checks.check(said.get("graph_digest") == self.digest, f"{what}: the run beside it gave {other.returncode}, {said.get('graph_digest')}")
        report = self.pydebug.analyze(self.tree, self.cache)
        found = report["graph_digest"]
        self.checks.check(found == self.digest, f"{what}: digest {found}, that of a clean run is {self.digest}")
        self.checks.check(not report["warnings"], f"{what}: warnings {report['warnings']}")
        self.pydebug.run("cache", "verify", "--cache-dir", self.cache, cwd=self.tree)
        self.said[f"{kind}, {ended}"] += 1

    def play(self, seed: int, count: int) -> None:
        print(f"{len(self.files)} files, a cold run takes {self.usual:.2f} s; {count} kills from seed {seed}", flush=True)
        for number in range(seed, seed + count):
            try:
                self.kill(number)
            except (Trouble, KeyError) as error:
                self.checks.check(False, f"kill with seed {number}: {error!r}")
        print("; ".join(f"{kind}: {times}" for kind, times in sorted(self.said.items())), flush=True)


class Damager:
    """Damages the cache of one tree."""

    def __init__(self, pydebug: Pydebug, source: Path, scratch: Path, checks: Checks) -> None:
        self.pydebug, self.checks = pydebug, checks
        self.tree, self.cache, self.template = scratch / "small", scratch / "damaged", scratch / "template"
        copy(source, self.tree)
        self.folder = min((path for path in self.tree.iterdir() if path.is_dir() and python_files(path)), default=self.tree)
        self.added = self.folder / "added_by_check.py"
        # Several packs, two generations of snapshots, two roots: swaps then mix things that look alike.
        self.answers = {False: self.clean()}
        self.added.write_text(EDIT.format(n=1))
        self.answers[True] = self.clean()
        pydebug.analyze(self.tree, self.template)
        pydebug.analyze(self.folder, self.template)
        self.added.unlink()
        pydebug.analyze(self.tree, self.template)
        pydebug.analyze(self.folder, self.template)
        self.said: Counter[str] = Counter()
        self.reset()

    def clean(self) -> dict[str, Any]:
        """What each kind of run prints without a cache."""
        return {
            "report": answer(self.pydebug.analyze(self.tree, None)),
            "calls": self.pydebug.run("graph", "calls", ".", "--no-cache", cwd=self.tree),
            "records": self.pydebug.run("analyze", ".", "--output-format", "jsonl", "--no-cache", cwd=self.tree),
        }

    def run(self, kind: str, edited: bool, what: str) -> None:
        """Makes one run and checks its exit code and its answer."""
        where = ("--cache-dir", self.cache)
        if kind == "report":
            report = self.pydebug.analyze(self.tree, self.cache)
            self.said["runs with a warning"] += bool(report["warnings"])
            found: Any = answer(report)
        elif kind == "calls":
            found = self.pydebug.run("graph", "calls", ".", *where, cwd=self.tree)
        else:
            found = self.pydebug.run("analyze", ".", "--output-format", "jsonl", *where, cwd=self.tree)
        self.said["runs"] += 1
        self.checks.check(found == self.answers[edited][kind], f"{what}: {kind} differs from that of a clean run")

    def reset(self) -> None:
        shutil.rmtree(self.cache, ignore_errors=True)
        shutil.copytree(self.template, self.cache)

    # The ways to damage a file; each says what it did.

    @staticmethod
    def flip(data: bytearray, chance: random.Random) -> str:
        at = chance.randrange(len(data))
        data[at] ^= 1 << chance.randrange(8)
        return f"a bit of byte {at} flipped"

    @staticmethod
    def cut(data: bytearray, chance: random.Random) -> str:
        length = chance.choice([0, chance.randrange(len(data)), len(data) - 1])
        del data[length:]
        return f"cut to {length} bytes"

    @staticmethod
    def zero(data: bytearray, chance: random.Random) -> str:
        start = chance.randrange(len(data)) // PAGE * PAGE
        data[start : start + PAGE] = bytes(len(data[start : start + PAGE]))
        return f"page at {start} zeroed"

    @staticmethod
    def append(data: bytearray, chance: random.Random) -> str:
        count = chance.choice([1, 8, 5000])
        data += chance.randbytes(count)
        return f"{count} bytes appended"

    @staticmethod
    def overwrite(data: bytearray, chance: random.Random) -> str:
        count = min(chance.choice([4, 64, 5000]), len(data))
        start = chance.randrange(len(data) - count + 1)
        data[start : start + count] = chance.randbytes(count)
        return f"{count} bytes at {start} overwritten"

    @staticmethod
    def version(data: bytearray, chance: random.Random) -> str:
        # Every format has its version after eight bytes of magic.
        if len(data) < 12:
            return "left alone"
        data[8] = chance.choice([0, 2, 255])
        return f"version {data[8]}"

    def damage(self, chance: random.Random) -> str:
        files = sorted(path for path in self.cache.rglob("*") if path.is_file())
        named = [path for path in files if path.parent != self.cache]
        path = chance.choice(named or files)
        name = str(path.relative_to(self.cache))
        ways: list[Callable[[bytearray, random.Random], str]] = [self.flip, self.cut, self.zero, self.append, self.overwrite, self.version]
        way = chance.choice(["delete", "swap", *ways])
        self.said[path.suffix or path.name] += 1
        if way == "delete":
            path.unlink()
            return f"{name} deleted"
        if way == "swap":
            other = chance.choice(files)
            one, two = path.read_bytes(), other.read_bytes()
            path.write_bytes(two)
            other.write_bytes(one)
            return f"{name} and {other.relative_to(self.cache)} swapped"
        data = bytearray(path.read_bytes())
        if not data or isinstance(way, str):
            return f"{name} is empty"
        done = way(data, chance)
        # In place or as a new file, both happen.
        if chance.random() < 0.5:
            path.unlink()
        path.write_bytes(data)
        return f"{name}: {done}"

    def play(self, seed: int, count: int) -> None:
        print(f"{len(python_files(self.tree))} files; {count} damages from seed {seed}", flush=True)
        started = time.monotonic()
        for number in range(seed, seed + count):
            chance = random.Random(number)
            self.reset()
            done = [self.damage(chance) for _ in range(chance.choice([1, 1, 1, 2, 5]))]
            if chance.random() < 0.3:
                # Otherwise packs are hardly looked into.
                for path in self.cache.glob("v1/snapshots/*"):
                    path.unlink()
                done.append("no snapshots")
            what = f"seed {number}: {'; '.join(done)}"
            try:
                edited = chance.random() < 0.3
                if edited:
                    self.added.write_text(EDIT.format(n=1))
                self.run(chance.choice(["report", "calls", "records"]), edited, what)
                self.added.unlink(missing_ok=True)
                self.run(chance.choice(["report", "calls", "records"]), False, what + ", the run after")
            except (Trouble, KeyError) as error:
                self.checks.check(False, f"{what}: {error!r}")
            finally:
                self.added.unlink(missing_ok=True)
        each = (time.monotonic() - started) / max(2 * count, 1)
        print("; ".join(f"{name}: {times}" for name, times in sorted(self.said.items())) + f"; {1000 * each:.0f} ms a run", flush=True)


def main() -> int:
    options = parser(__doc__.splitlines()[0] if __doc__ else None)
    options.add_argument("package", type=Path, nargs="?", default=ROOT / "fixtures", help="the package whose runs are killed [default: the fixtures]")
    options.add_argument("--small", type=Path, default=ROOT / "fixtures", help="the package whose cache is damaged [default: the fixtures]")
    options.add_argument("--kills", type=int, default=200)
    options.add_argument("--damages", type=int, default=1000)
    options.add_argument("--seed", type=int, default=1, help="the first fault's seed; each next one has the next")
    arguments = options.parse_args()
    pydebug, checks = Pydebug(find_binary(arguments.binary)), Checks()
    with tempfile.TemporaryDirectory() as made:
        for kind, source, count in ((Killer, arguments.package, arguments.kills), (Damager, arguments.small, arguments.damages)):
            if count == 0:
                continue
            try:
                kind(pydebug, source.resolve(), Path(made), checks).play(arguments.seed, count)
            except (Trouble, KeyError) as error:
                checks.check(False, f"the first runs: {error!r}")
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
