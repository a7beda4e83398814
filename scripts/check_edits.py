"""Random edit scripts on a copy of a real package: after each step an incremental run must equal a clean one.

A script is a seed: `--seed S --scripts 1` plays one again (the cache keeps what earlier scripts left in it, so a failure that
does not show up alone needs the seeds before it too). Each script starts from the pristine tree and its warm cache
and plays a few steps; after every step `graph_digest` of the run with the kept cache must equal that of a run with an empty
one. Every tenth script also compares 1, 2 and 8 threads.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness import Checks, Pydebug, Trouble, find_binary, parser, python_files, relative

SNIPPETS = (
    "\n\ndef added_{n}(value):\n    return {name}(value)\n",
    "\nadded_{n} = lambda value: {name}(value)\n",
    "\n\nclass Added{n}({base}):\n    def run(self):\n        return self.helper() and super().run()\n\n    def helper(self):\n        return {name}()\n",
    "\nimport os.path as path_{n}\npath_{n}.join('a', 'b')\n",
    "\nprint({n})\n",
)
PROJECTS = (
    '[project]\nname = "renamed-{n}"\nversion = "0"\n',
    '[project]\nname = "renamed-{n}"\nversion = "0"\n\n[tool.setuptools.packages.find]\nwhere = ["other_root"]\n',
    '[tool.setuptools.package-dir]\n"" = "other_root"\n',
    "",
)


class Tree:
    """A project being edited, and the steps that can be played on it."""

    def __init__(self, root: Path, pristine: Path, chance: random.Random) -> None:
        self.root, self.pristine, self.chance = root, pristine, chance
        self.count = 0
        self.stashed: dict[str, bytes | None] = {}

    # What the steps are made of.

    def files(self, *suffixes: str) -> list[str]:
        return [path for path in python_files(self.root) if path.endswith(suffixes or (".py",))]

    def pick(self, *suffixes: str) -> Path:
        return self.root / self.chance.choice(self.files(*suffixes))

    def folder(self) -> Path:
        return self.pick().parent

    def number(self) -> int:
        self.count += 1
        return self.count

    def snippet(self) -> bytes:
        names = [name for path in (self.pick(), self.pick()) for name in defined(path)] or ["print"]
        text = self.chance.choice(SNIPPETS)
        return text.format(n=self.number(), name=self.chance.choice(names), base=self.chance.choice(["object", *names])).encode()

    def write(self, path: Path, data: bytes) -> str:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return relative(str(path), self.root)

    # The steps; each says what it did.

    def edit(self) -> str:
        path = self.pick()
        return "edit " + self.write(path, path.read_bytes() + self.snippet())

    def edit_inside(self) -> str:
        path = self.pick()
        lines = path.read_bytes().splitlines(keepends=True)
        places = [number for number, line in enumerate(lines) if line.startswith((b"def ", b"class ", b"@", b"import "))]
        place = self.chance.choice(places) if places else 0
        lines.insert(place, self.snippet().lstrip() + b"\n")
        return f"insert before line {place + 1} of " + self.write(path, b"".join(lines))

    def same_size(self) -> str:
        path = self.pick()
        before, stat = path.read_bytes(), path.stat()
        # Swaps two bytes of a name after `def ` or a digit: the size stays, and the old time is put back.
        names = [name.encode() for name in defined(path)]
        after = before
        if names:
            name = self.chance.choice(names)
            after = before.replace(name, name[:-1] + (b"z" if name[-1:] != b"z" else b"y"))
        self.write(path, after)
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        return f"same-size edit of {relative(str(path), self.root)} with its old time"

    def add(self) -> str:
        path = self.folder() / f"added_{self.number()}.py"
        return "add " + self.write(path, b"from . import *\n" + self.snippet())

    def delete(self) -> str:
        path = self.pick(".py", ".pyi")
        path.unlink()
        return f"delete {relative(str(path), self.root)}"

    def rename(self) -> str:
        path = self.pick()
        target = path.with_name(f"renamed_{self.number()}.py")
        path.rename(target)
        return f"rename {relative(str(path), self.root)} to {target.name}"

    def move(self) -> str:
        path, folder = self.pick(), self.folder()
        target = folder / f"moved_{self.number()}_{path.name}"
        path.rename(target)
        return f"move {relative(str(path), self.root)} to {relative(str(target), self.root)}"

    def swap(self) -> str:
        one, other = self.pick(), self.pick()
        first, second = one.read_bytes(), other.read_bytes()
        one.write_bytes(second)
        return f"swap {relative(str(one), self.root)} and " + self.write(other, first)

    def copy(self) -> str:
        path = self.pick()
        target = self.folder() / f"copied_{self.number()}.py"
        shutil.copy2(path, target)
        return f"copy {relative(str(path), self.root)} to {relative(str(target), self.root)}"

    def revert(self) -> str:
        restore(self.root, self.pristine)
        return "revert everything"

    def touch(self) -> str:
        paths = [self.root / path for path in self.files(".py", ".pyi")]
        chosen = self.chance.choice([paths, paths[:1], self.chance.sample(paths, min(5, len(paths)))])
        for path in chosen:
            os.utime(path)
        return f"touch {len(chosen)} files"

    def break_syntax(self) -> str:
        path = self.pick()
        data = path.read_bytes()
        place = data.find(b"\n", self.chance.randrange(len(data) + 1)) + 1
        wrong = self.chance.choice([b"def broken(:\n", b"x = [\n", b"'''\n", b"  unexpected\n", b"<<<<<<< HEAD\n", b"x = '\xff'\n"])
        return "break " + self.write(path, data[:place] + wrong + data[place:])

    def switch_branch(self) -> str:
        if self.stashed:
            for path, data in self.stashed.items():
                if data is None:
                    (self.root / path).unlink(missing_ok=True)
                else:
                    self.write(self.root / path, data)
            count, self.stashed = len(self.stashed), {}
            return f"switch back: {count} files"
        for path in self.chance.sample(self.files(), min(8, len(self.files()))):
            data = (self.root / path).read_bytes()
            self.stashed[path] = data
            if self.chance.random() < 0.3:
                (self.root / path).unlink()
            else:
                self.write(self.root / path, data + self.snippet())
        added = f"only_on_branch_{self.number()}.py"
        self.stashed[added] = None
        self.write(self.root / added, self.snippet())
        return f"switch to another branch: {len(self.stashed)} files"

    def toggle_init(self) -> str:
        path = self.folder() / "__init__.py"
        if path.exists():
            path.unlink()
            return f"remove {relative(str(path), self.root)}"
        return "add " + self.write(path, self.snippet())

    def toggle_stub(self) -> str:
        path = self.pick().with_suffix(".pyi")
        if path.exists():
            path.unlink()
            return f"remove {relative(str(path), self.root)}"
        names = defined(path.with_suffix(".py")) or ["nothing"]
        text = "".join(f"def {name}(*args: int, **kwargs: str) -> object: ...\n" for name in names)
        return "add " + self.write(path, text.encode())

    def to_package(self) -> str:
        path = self.chance.choice([p for p in map(self.root.__truediv__, self.files()) if p.name != "__init__.py"] or [self.pick()])
        target = path.with_suffix("") / "__init__.py"
        target.parent.mkdir(exist_ok=True)
        path.rename(target)
        return f"{relative(str(path), self.root)} to {relative(str(target), self.root)}"

    def second_root(self) -> str:
        path = self.chance.choice(self.files())
        where = self.chance.choice(["src", "other_root"])
        return "the same module again: " + self.write(self.root / where / path, (self.root / path).read_bytes() + self.snippet())

    def redefine(self) -> str:
        path = self.pick()
        names = defined(path)
        if not names:
            return self.edit()
        name = self.chance.choice(names)
        new = self.chance.choice([f"def {name}(*args):\n    return (lambda: args)()\n\n\n", f"{name} = lambda *args: print(args)\n"])
        lines = path.read_bytes().splitlines(keepends=True)
        place = next(i for i, line in enumerate(lines) if line.startswith((f"def {name}".encode(), f"class {name}".encode())))
        while place and lines[place - 1].startswith(b"@"):
            place -= 1
        lines.insert(place, new.encode())
        return f"redefine {name} before line {place + 1} of " + self.write(path, b"".join(lines))

    def project(self) -> str:
        text = self.chance.choice(PROJECTS).format(n=self.number())
        return "new " + self.write(self.root / "pyproject.toml", text.encode())

    def steps(self) -> list[Callable[[], str]]:
        return [self.edit, self.edit_inside, self.same_size, self.add, self.delete, self.rename, self.move, self.swap, self.copy,
                self.revert, self.touch, self.break_syntax, self.switch_branch, self.toggle_init, self.toggle_stub, self.to_package,
                self.second_root, self.redefine, self.project]


def defined(path: Path) -> list[str]:
    """The names that a file defines at its top level, found without parsing: it may be broken."""
    names = []
    for line in path.read_bytes().splitlines():
        for start in (b"def ", b"class "):
            if line.startswith(start):
                name = line[len(start):].split(b"(")[0].split(b":")[0].split(b"[")[0].strip().decode("utf-8", "replace")
                if name.isidentifier():
                    names.append(name)
    return names


def restore(root: Path, pristine: Path) -> None:
    """Makes `root` equal to `pristine`, writing only what differs, as a version control system would."""
    for folder, folders, files in os.walk(root, topdown=False):
        for name in files:
            path = Path(folder, name)
            if not (pristine / path.relative_to(root)).is_file():
                path.unlink()
        for name in folders:
            path = Path(folder, name)
            if not (pristine / path.relative_to(root)).is_dir():
                shutil.rmtree(path)
    for folder, _, files in os.walk(pristine):
        for name in files:
            path = Path(folder, name)
            target = root / path.relative_to(pristine)
            if not target.is_file() or target.read_bytes() != path.read_bytes():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)


def difference(cached: dict[str, Any], clean: dict[str, Any]) -> str:
    """The files whose entries differ between two reports."""
    def entries(report: dict[str, Any]) -> dict[str, Any]:
        return {e["path"]: {k: v for k, v in e.items() if k not in ("cached", "parse_duration")} for e in report["files"]}
    ours, theirs = entries(cached), entries(clean)
    paths = sorted(path for path in ours.keys() | theirs.keys() if ours.get(path) != theirs.get(path))
    sites = "" if cached.get("call_sites") == clean.get("call_sites") else f"; call sites {cached.get('call_sites')} and {clean.get('call_sites')}"
    return (f"files that differ: {paths[:5]}" if paths else "no file's entry differs") + sites


class Player:
    """Plays scripts against one binary."""

    def __init__(self, pydebug: Pydebug, pristine: Path, scratch: Path, checks: Checks, least: int, most: int) -> None:
        self.pydebug, self.pristine, self.scratch, self.checks = pydebug, pristine, scratch, checks
        self.least, self.most = least, most
        self.cache = scratch / "cache"
        self.tree = scratch / "tree"
        shutil.copytree(pristine, self.tree, symlinks=True)
        pydebug.analyze(self.tree, self.cache)

    def clean(self, *more: str) -> dict[str, Any]:
        with tempfile.TemporaryDirectory(dir=self.scratch) as cache:
            return self.pydebug.analyze(self.tree, Path(cache), *more)

    def play(self, seed: int, threads: bool) -> None:
        chance = random.Random(seed)
        restore(self.tree, self.pristine)
        tree = Tree(self.tree, self.pristine, chance)
        done: list[str] = []
        holds = True
        for _ in range(chance.randint(self.least, self.most)):
            done.append(chance.choice(tree.steps())())
            cached, clean = self.pydebug.analyze(self.tree, self.cache), self.clean()
            found = len(python_files(self.tree))
            holds = cached["graph_digest"] == clean["graph_digest"] and len(cached["files"]) == found == len(clean["files"])
            if not holds:
                break
        steps = "; ".join(done)
        if not self.checks.check(holds, f"seed {seed}: an incremental run is not a clean one after: {steps}: {difference(cached, clean)}"):
            return
        if threads:
            digests = {count: self.clean(f"-j{count}")["graph_digest"] for count in (1, 2, 8)}
            same = set(digests.values()) == {clean["graph_digest"]}
            self.checks.check(same, f"seed {seed}: digests by threads {digests}, by default {clean['graph_digest']}, after: {steps}")


def take(package: Path, parts: list[str], pristine: Path) -> None:
    """Copies the package, or parts of it with the `__init__.py` files above them, into a folder of its own."""
    skipped = shutil.ignore_patterns("__pycache__", ".cache", ".git", "locale", "static")
    for part in parts or ["."]:
        source = package / part
        if not source.is_dir():
            sys.exit(f"error: no folder `{source}`")
        shutil.copytree(source, pristine / package.name / part, symlinks=True, ignore=skipped, dirs_exist_ok=True)
        for above in [package / parent for parent in Path(part).parents]:
            if (above / "__init__.py").is_file():
                shutil.copy2(above / "__init__.py", pristine / above.relative_to(package.parent) / "__init__.py")
    (pristine / "pyproject.toml").write_text('[project]\nname = "edited"\nversion = "0"\n', encoding="utf-8")


def main() -> int:
    options: argparse.ArgumentParser = parser(__doc__.splitlines()[0] if __doc__ else None)
    options.add_argument("package", type=Path, help="the package to copy, such as `.cache/corpora/django/django`")
    options.add_argument("--part", action="append", default=[], help="a folder of it (repeatable; all of it unless given)")
    options.add_argument("--scripts", type=int, default=200)
    options.add_argument("--seed", type=int, default=1, help="the first script's seed; each next script has the next one")
    options.add_argument("--steps", type=int, nargs=2, default=(1, 4), metavar=("LEAST", "MOST"), help="steps of a script")
    arguments = options.parse_args()
    pydebug, checks = Pydebug(find_binary(arguments.binary)), Checks()
    with tempfile.TemporaryDirectory() as made:
        scratch = Path(made)
        take(arguments.package.resolve(), arguments.part, scratch / "pristine")
        try:
            player = Player(pydebug, scratch / "pristine", scratch, checks, *arguments.steps)
        except Trouble as error:
            checks.check(False, f"the first run: {error}")
            return checks.finish()
        print(f"{len(python_files(player.tree))} files, {arguments.scripts} scripts from seed {arguments.seed}", flush=True)
        for number in range(arguments.scripts):
            try:
                player.play(arguments.seed + number, threads=number % 10 == 0)
            except (Trouble, KeyError, subprocess.SubprocessError) as error:
                checks.check(False, f"seed {arguments.seed + number}: {error!r}")
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
