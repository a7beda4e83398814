"""SQLite, PostgreSQL and Neo4j, real servers, against the graph: whatever is edited, killed or refused, each store holds it exactly or says why not.

    scripts/check_stores.py [PACKAGE [--part FOLDER]] [--scripts N] [--kills N]

`store verify` reads every stored row back, so equal means equal row by row. Servers that can't be obtained are skipped, loudly; with CI=true that is a failure.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import services
from check_edits import Tree, defined, restore, take
from harness import Checks, environment, find_binary, parser

try:
    import neo4j as bolt
except ImportError:
    bolt = None


class Stores:
    """The servers, and the program that writes them. Everything that it prints is kept, to be searched for secrets."""

    def __init__(self, binary: Path, folder: Path, servers: dict[str, services.Server]) -> None:
        self.binary, self.folder, self.servers = binary, folder, servers
        self.said: list[str] = []

    def flags(self, *names: str) -> list[str]:
        flags: list[str] = []
        for name in names or ("sqlite", *self.servers):
            if name == "sqlite":
                flags += ["--sqlite", str(self.folder / "graph.db")]
            elif name == "neo4j":
                flags += ["--neo4j", self.servers[name].url]
            else:
                flags += ["--postgres", self.servers[name].url]
        return flags

    def variables(self) -> dict[str, str]:
        made = environment()
        for name, server in self.servers.items():
            made |= {"PYDEBUG_NEO4J_PASSWORD": server.password} if name == "neo4j" else {"PGPASSWORD": server.password}
        return made

    def run(self, *arguments: str | Path, cwd: Path, more: dict[str, str] | None = None) -> tuple[int, str, str]:
        command = [str(self.binary), *map(str, arguments)]
        done = subprocess.run(command, cwd=cwd, env=self.variables() | (more or {}), capture_output=True, stdin=subprocess.DEVNULL, check=False)
        out, said = done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
        self.said += [out, said]
        return done.returncode, out, said

    def analyze(self, tree: Path, cache: Path, *names: str, project: str = "edited") -> tuple[int, dict[str, Any], str]:
        code, out, said = self.run("analyze", ".", "--project", project, "--cache-dir", cache, "--output-format", "json", *self.flags(*names), cwd=tree)
        return code, json.loads(out) if out.startswith("{") else {}, said

    def verify(self, tree: Path, cache: Path, *names: str, project: str = "edited") -> tuple[bool, str]:
        code, out, said = self.run("store", "verify", ".", "--project", project, "--cache-dir", cache, "--format", "json", *self.flags(*names), cwd=tree)
        if code not in (0, 1):
            return False, said
        found = json.loads(out)
        return code == 0 and all(store["equal"] for store in found.values()), json.dumps({name: store["differences"][:6] for name, store in found.items()})

    def hidden(self) -> list[str]:
        """Secrets that were printed after all."""
        text = "\n".join(self.said)
        return [server.name for server in self.servers.values() if server.password in text]


def write(root: Path, files: dict[str, str | bytes]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return root


LONG = "n" + "".join(random.Random(5).choices("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_", k=9_999))

HOSTILE: dict[str, str | bytes] = {
    "quo'te.py": "def f():\n    return 1\n",
    'dou"ble.py': "x = 1\n",
    "$(r[1]).py": "def DETACH(): pass\n",
    "new\nline.py": "y = 2\n",
    "semi;DROP TABLE symbols;--.py": "z = 3\n",
    "a.py": f"class {LONG}:\n    '''Doc with \\x00 NUL, 'quotes', \"more\", `ticks` and \\\\x00.'''\n\n    def {LONG}(self, a='\\0', *, b=\"it's\"): return {LONG}\n\n"
            "\ndef ünïcode(größe: 'a\\nb' = '\U0001f40d'): ...\n\nimport importlib\nimportlib.import_module('odd\\0name')\nimportlib.import_module('')\n",
    "empty.py": "",
    "broken.py": "def (:\n  x = [\n",
    "surrogate.py": "S = '\\ud800'\n\ndef f(x='\\udfff'):\n    'text \\ud801'\n",
    "latin.py": b"# -*- coding: latin-1 -*-\nname = '\xe9'\n",
}


def scenarios(stores: Stores, scratch: Path, checks: Checks) -> None:
    """Trees that no package has."""
    many = "".join(f"def f{number}(a, b={number}):\n    return f{max(number - 1, 0)}(a)\n" for number in range(100_000))
    trees = {
        "empty": write(scratch / "empty", {"README": "no source"}),
        "hostile": write(scratch / "hostile", HOSTILE),
        "many": write(scratch / "many", {"many.py": many}),
    }
    try:
        (Path(os.fsdecode(os.fsencode(trees["hostile"]) + b"/not\xffutf8.py"))).write_text("w = 4\n")
    except OSError:
        pass
    for name, tree in trees.items():
        code, report, said = stores.analyze(tree, scratch / f"cache-{name}", project=f"project '{name}'; --")
        if checks.check(code == 0, f"{name}: gave {code}: {said[-1500:]}"):
            checks.check(all(store["kind"] == "full" for store in report["stores"]), f"{name}: {report['stores']}")
    # All of them are still there, side by side; and one is changed to nothing and back.
    for name, tree in trees.items():
        equal, why = stores.verify(tree, scratch / f"cache-{name}", project=f"project '{name}'; --")
        checks.check(equal, f"{name}: {why}")
    tree, cache, project = trees["hostile"], scratch / "cache-hostile", "project 'hostile'; --"
    kept = scratch / "kept"
    shutil.copytree(tree, kept)
    for path in list(tree.iterdir()):
        path.unlink()
    for step in ("emptied", "back"):
        code, report, said = stores.analyze(tree, cache, project=project)
        checks.check(code == 0, f"hostile, {step}: gave {code}: {said[-1500:]}")
        equal, why = stores.verify(tree, cache, project=project)
        checks.check(equal, f"hostile, {step}: {why}")
        shutil.copytree(kept, tree, dirs_exist_ok=True)
    # The same project from another folder.
    other = scratch / "elsewhere"
    shutil.copytree(trees["hostile"], other)
    write(other, {"one_more.py": "from a import *\n"})
    code, report, said = stores.analyze(other, scratch / "cache-elsewhere", project=project)
    checks.check(code == 0 and all(store["kind"] == "delta" for store in report["stores"]), f"another root: {code} {report.get('stores')} {said[-800:]}")
    equal, why = stores.verify(other, scratch / "cache-elsewhere", project=project)
    checks.check(equal, f"another root: {why}")


def edits(stores: Stores, scratch: Path, checks: Checks, scripts: int, seed: int) -> None:
    """Random edit scripts; after each step every store is verified."""
    tree, cache, pristine = scratch / "tree", scratch / "cache", scratch / "pristine"
    shutil.copytree(pristine, tree)

    def functions_to_classes(one: Tree) -> str:
        path = one.pick()
        lines = path.read_text(errors="surrogateescape").splitlines(keepends=True)
        changed = [line.replace("def ", "class ", 1).split("(")[0].rstrip() + ":\n" if line.startswith("def ") and line.rstrip().endswith("):")
                   else line for line in lines]
        return "functions to classes: " + one.write(path, "".join(changed).encode(errors="surrogateescape"))

    for number in range(scripts):
        chance = random.Random(seed + number)
        restore(tree, pristine)
        one = Tree(tree, pristine, chance)
        done = []
        for _ in range(chance.randint(1, 3)):
            step = chance.choice([*one.steps(), lambda: functions_to_classes(one), lambda: functions_to_classes(one), one.revert])
            done.append(step())
            code, report, said = stores.analyze(tree, cache)
            where = f"seed {seed + number}: after {'; '.join(done)}"
            if not checks.check(code == 0, f"{where}: gave {code}: {said[-1500:]}"):
                break
            equal, why = stores.verify(tree, cache)
            if not checks.check(equal, f"{where}: {why}; {report['stores']}"):
                break


def small_change(tree: Path, number: int) -> None:
    path = sorted(tree.rglob("*.py"))[number % 7]
    names = defined(path) or ["print"]
    with open(path, "a", encoding="utf-8") as out:
        out.write(f"\n\ndef added_{number}(value):\n    return {names[0]}(value)\n")


def kills(stores: Stores, scratch: Path, checks: Checks, count: int) -> None:
    """`kill -9` of the program at random moments of full loads and deltas, each followed by a run."""
    tree = scratch / "killed"
    shutil.copytree(scratch / "pristine", tree)
    chance = random.Random(11)
    for name in ("sqlite", *stores.servers):
        longest = 0.0
        for number in range(count + 1):
            project = f"killed-{name}-{number // 2}"
            cache = scratch / f"cache-killed-{number // 2}"
            # Every other one has the graph already, and a change to it.
            if number % 2:
                small_change(tree, number)
            command = [str(stores.binary), "analyze", ".", "--project", project, "--cache-dir", str(cache), "-q", *stores.flags(name)]
            started = time.monotonic()
            child = subprocess.Popen(command, cwd=tree, env=stores.variables(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            if number == 0:
                child.wait()
                longest = time.monotonic() - started
                continue
            time.sleep(chance.uniform(0.02, longest * (0.2 if number % 2 else 1.0)))
            child.send_signal(signal.SIGKILL)
            child.wait()
            code, _, said = stores.analyze(tree, cache, name, project=project)
            if checks.check(code == 0, f"{name}, kill {number}: the next run gave {code}: {said[-800:]}"):
                equal, why = stores.verify(tree, cache, name, project=project)
                checks.check(equal, f"{name}, kill {number}: {why}")


FAILPOINTS = {
    "sqlite": ["load-rows", "load-flip", "load-done", "delta-flip", "delta-done", "gc"],
    "postgres": ["load-rows", "load-indexes", "load-flip", "load-done", "delta-flip", "delta-done", "gc"],
    "neo4j": ["load-begun", "load-flip", "load-done", "delta-begun", "delta-rows", "delta-flip", "delta-done", "gc"],
}


def failpoints(stores: Stores, scratch: Path, checks: Checks) -> None:
    """The program kills itself at each named point of a write, before and after what makes it visible; then comes a run."""
    for name in ("sqlite", *stores.servers):
        for number, point in enumerate(FAILPOINTS[name.removesuffix("18")]):
            tree, cache, project = scratch / f"point-{name}-{number}", scratch / f"cache-point-{name}-{number}", f"point-{name}-{number}"
            shutil.copytree(scratch / "pristine", tree)
            if not point.startswith("load"):
                stores.analyze(tree, cache, name, project=project)
                small_change(tree, number)
            if point == "gc":
                # What is to be collected: a generation that was replaced.
                for path in sorted(tree.rglob("*.py")):
                    path.write_text("\n\n" + path.read_text(encoding="utf-8", errors="surrogateescape"), encoding="utf-8", errors="surrogateescape")
                stores.analyze(tree, cache, name, project=project)
            command = ["store", "gc", "."] if point == "gc" else ["analyze", "."]
            code, _, said = stores.run(*command, "--project", project, "--cache-dir", cache, "-q", *stores.flags(name), cwd=tree,
                                       more={"PYDEBUG_FAILPOINT": f"{name.removesuffix('18')}-{point}"})
            checks.check(code == -signal.SIGKILL, f"{name}, {point}: not killed there: {code} {said[-600:]}")
            code, _, said = stores.analyze(tree, cache, name, project=project)
            if checks.check(code == 0, f"{name}, {point}: the next run gave {code}: {said[-800:]}"):
                equal, why = stores.verify(tree, cache, name, project=project)
                checks.check(equal, f"{name}, {point}: {why}")
            if point == "gc":
                code, _, said = stores.run("store", "gc", ".", "--project", project, "--cache-dir", cache, *stores.flags(name), cwd=tree)
                checks.check(code == 0, f"{name}: gc after a killed one: {code} {said[-600:]}")
                equal, why = stores.verify(tree, cache, name, project=project)
                checks.check(equal, f"{name}, after gc: {why}")


def server_kills(stores: Stores, scratch: Path, checks: Checks, count: int) -> None:
    """`kill -9` of the servers in the middle of a load; they start again, and so does the run."""
    tree = scratch / "killed-servers"
    shutil.copytree(scratch / "pristine", tree)
    chance = random.Random(12)
    for name, server in stores.servers.items():
        for number in range(count):
            project, cache = f"server-{name}-{number}", scratch / "cache-server"
            command = [str(stores.binary), "analyze", ".", "--project", project, "--cache-dir", str(cache), "-q", *stores.flags(name)]
            child = subprocess.Popen(command, cwd=tree, env=stores.variables(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            time.sleep(chance.uniform(0.05, 0.6 if name != "neo4j" else 2.0))
            server.kill()
            server.launch()
            assert child.stderr is not None
            said = child.stderr.read().decode(errors="replace")
            code = child.wait()
            stores.said.append(said)
            checks.check(code in (0, 2), f"{name}, server kill {number}: gave {code}: {said[-800:]}")
            code, _, said = stores.analyze(tree, cache, name, project=project)
            if checks.check(code == 0, f"{name}, server kill {number}: the next run gave {code}: {said[-800:]}"):
                equal, why = stores.verify(tree, cache, name, project=project)
                checks.check(equal, f"{name}, server kill {number}: {why}")


class Readers:
    """Clients that read exactly, as documented, while the stores are written. A state that was seen with two contents is a wrong answer."""

    def __init__(self, stores: Stores, project: str) -> None:
        self.stores, self.project = stores, project
        self.over = threading.Event()
        self.seen: dict[str, dict[str, tuple[int, int]]] = {}
        self.wrong: list[str] = []
        self.count: dict[str, int] = {}
        readers: list[tuple[str, Callable[[], tuple[str, tuple[int, int]] | None]]] = [("sqlite", self.sqlite)]
        readers += [(name, lambda name=name: self.postgres(name)) for name in stores.servers if name.startswith("postgres")]
        if "neo4j" in stores.servers and bolt is not None:
            server = stores.servers["neo4j"]
            self.driver = bolt.GraphDatabase.driver(server.url, auth=(server.user, server.password))
            readers.append(("neo4j", self.neo4j))
        self.threads = [threading.Thread(target=self.loop, args=reader) for reader in readers]
        for thread in self.threads:
            thread.start()

    def loop(self, name: str, read: Callable[[], tuple[str, tuple[int, int]] | None]) -> None:
        seen = self.seen.setdefault(name, {})
        while not self.over.is_set():
            try:
                found = read()
            except Exception as error:  # noqa: BLE001: whatever it is, it is a wrong answer
                self.wrong.append(f"{name}: {error!r}")
                return
            if found is None:
                continue
            self.count[name] = self.count.get(name, 0) + 1
            state, content = found
            if seen.setdefault(state, content) != content:
                self.wrong.append(f"{name}: {state[:16]} with {seen[state]} and {content}")

    def sqlite(self) -> tuple[str, tuple[int, int]] | None:
        path = self.stores.folder / "graph.db"
        with sqlite3.connect(path, timeout=30) as connection:
            connection.execute("BEGIN")
            state = connection.execute("SELECT state FROM projects WHERE name = ?", (self.project,)).fetchone()
            content = connection.execute("SELECT count(*), coalesce(sum(line), 0) FROM current_symbols WHERE project = ?", (self.project,)).fetchone()
        connection.close()
        return (state[0], content) if state else None

    def postgres(self, name: str) -> tuple[str, tuple[int, int]] | None:
        out = self.stores.servers[name].psql(
            f"BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT state FROM pydebug.projects WHERE name = '{self.project}';"
            f"SELECT count(*), coalesce(sum(line), 0) FROM pydebug.current_symbols WHERE project = '{self.project}'; COMMIT")
        lines = out.splitlines()
        if len(lines) != 2:
            return None
        count, total = lines[1].split("|")
        return lines[0], (int(count), int(total))

    def neo4j(self) -> tuple[str, tuple[int, int]] | None:
        head = "MATCH (p:Project {name: $name}) RETURN p.head AS head, p.rev AS rev, p.updating AS updating, p.state AS state"
        with self.driver.session() as session:
            before = session.run(head, name=self.project).single()
            if before is None or before["updating"] or not before["head"]:
                return None
            content = session.run("MATCH (n:PyDebug) WHERE n.gen = $gen AND n.key IS NOT NULL AND NOT n:File RETURN count(*) AS count, sum(n.line) AS total",
                                  gen=before["head"]).single()
            after = session.run(head, name=self.project).single()
        if after is None or dict(before) != dict(after):
            return None
        return before["state"], (content["count"], content["total"])

    def end(self) -> None:
        self.over.set()
        for thread in self.threads:
            thread.join()


def races(stores: Stores, scratch: Path, checks: Checks, deltas: int, loads: int) -> None:
    """Readers while deltas and full loads are written, and two writers at once."""
    tree, cache = scratch / "raced", scratch / "cache-raced"
    shutil.copytree(scratch / "pristine", tree)
    stores.analyze(tree, cache, project="raced")
    readers = Readers(stores, "raced")
    for number in range(deltas):
        small_change(tree, number)
        code, _, said = stores.analyze(tree, cache, project="raced")
        checks.check(code == 0, f"delta {number} under readers: gave {code}: {said[-800:]}")
    for number in range(loads):
        # What differs in more than a third of its rows is written anew.
        for path in sorted(tree.rglob("*.py")):
            path.write_text("\n" + path.read_text(encoding="utf-8", errors="surrogateescape"), encoding="utf-8", errors="surrogateescape")
        code, report, said = stores.analyze(tree, cache, project="raced")
        checks.check(code == 0 and all(store["kind"] == "full" for store in report["stores"]),
                     f"load {number} under readers: gave {code}: {report.get('stores')} {said[-800:]}")
    readers.end()
    checks.check(not readers.wrong, f"readers saw: {readers.wrong[:5]}")
    checks.check(all(readers.count.get(name, 0) > 3 for name in ("sqlite", *stores.servers) if name != "neo4j" or bolt is not None),
                 f"readers hardly read: {readers.count}")
    print(f"readers: {readers.count}", flush=True)
    other = scratch / "raced-too"
    shutil.copytree(tree, other)
    small_change(other, 3)
    results: list[tuple[int, str]] = []

    def one_writer(where: Path, folder: Path) -> None:
        code, _, said = stores.analyze(where, folder, project="raced")
        results.append((code, said))

    writers = [threading.Thread(target=one_writer, args=pair) for pair in ((tree, cache), (other, scratch / "cache-raced-too"), (other, scratch / "cache-raced-3"))]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    checks.check(all(code in (0, 2) for code, _ in results), f"writers at once: {results}")
    code, _, said = stores.analyze(other, scratch / "cache-raced-too", project="raced")
    checks.check(code == 0, f"after writers at once: {code} {said[-800:]}")
    equal, why = stores.verify(other, scratch / "cache-raced-too", project="raced")
    checks.check(equal, f"after writers at once: {why}")


def refusals(stores: Stores, scratch: Path, checks: Checks) -> None:
    """What a store refuses is a clear error and exit code 2, and the analysis is kept."""
    tree, cache = write(scratch / "small", {"a.py": "def f(): pass\n"}), scratch / "cache-small"
    secret = "s3cr3t-never-shown"

    def refused(what: str, flags: list[str], words: list[str], more: dict[str, str] | None = None, project: str = "refused") -> None:
        started = time.monotonic()
        code, out, said = stores.run("analyze", ".", "--project", project, "--cache-dir", cache, "--output-format", "json", *flags, cwd=tree, more=more)
        low = said.lower()
        checks.check(code == 2 and any(word in low for word in words), f"{what}: gave {code}: {said[-600:]}")
        checks.check(secret not in said + out, f"{what}: shows a secret")
        checks.check(time.monotonic() - started < 60, f"{what}: took {time.monotonic() - started:.0f} s")

    port = services.free_port()
    refused("no PostgreSQL there", ["--postgres", f"postgres://u@127.0.0.1:{port}/d"], ["refused"], {"PGPASSWORD": secret})
    refused("no Neo4j there", ["--neo4j", f"bolt://127.0.0.1:{port}"], ["refused", "connection"], {"PYDEBUG_NEO4J_PASSWORD": secret})
    refused("two ways to read", ["--postgres", f"postgres://u:{secret}@x/y@127.0.0.1/d"], ["two ways"])
    refused("no project name", ["--sqlite", str(scratch / "x.db")], ["--project"], project="unnamed")
    (scratch / "text.db").write_text("this is no database at all, but long enough to be read as one\n" * 20)
    refused("no database", ["--sqlite", str(scratch / "text.db")], ["not a database"])
    refused("no folder", ["--sqlite", str(scratch / "no" / "x.db")], ["unable to open", "folder"])
    with sqlite3.connect(scratch / "foreign.db") as foreign:
        foreign.execute("CREATE TABLE t (x)")
    refused("the database of another program", ["--sqlite", str(scratch / "foreign.db")], ["another program"])
    stores.run("store", "init", ".", "--project", "refused", "--sqlite", scratch / "newer.db", cwd=tree)
    with sqlite3.connect(scratch / "newer.db") as newer:
        newer.execute("UPDATE schema_version SET version = 99")
    refused("a newer SQLite schema", ["--sqlite", str(scratch / "newer.db")], ["version 99"])
    if Path("/dev/full").exists() and os.geteuid() == 0:
        small = scratch / "tmpfs"
        small.mkdir()
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(small)], capture_output=True, check=False).returncode == 0:
            refused("a full disk", ["--sqlite", str(small / "x.db")], ["full"])
            subprocess.run(["umount", str(small)], check=True)
    for name, server in stores.servers.items():
        if name == "neo4j":
            refused("a wrong password for Neo4j", stores.flags(name), ["unauthorized", "password"], {"PYDEBUG_NEO4J_PASSWORD": secret})
            refused("a wrong database of Neo4j", stores.flags(name), ["database"], {"PYDEBUG_NEO4J_DATABASE": "nosuch"})
            if server.tls:
                encrypted_bolt(stores, server, refused, checks, tree, cache)
            continue
        at = f"127.0.0.1:{server.port}"
        refused(f"a wrong password for {name}", stores.flags(name), ["password"], {"PGPASSWORD": secret})
        refused(f"a wrong database of {name}", ["--postgres", f"postgres://pydebug@{at}/nosuch"], ["nosuch"])
        server.psql("DROP ROLE IF EXISTS reader")
        server.psql(f"CREATE ROLE reader LOGIN PASSWORD '{secret}'")
        server.psql("CREATE DATABASE empty" if not server.psql("SELECT 1 FROM pg_database WHERE datname = 'empty'") else "SELECT 1")
        refused(f"a role of {name} that may not create", ["--postgres", f"postgres://reader@{at}/empty"], ["--print-sql"], {"PGPASSWORD": secret})
        refused(f"a role of {name} that may not write", ["--postgres", f"postgres://reader@{at}/pydebug"], ["permission"], {"PGPASSWORD": secret})
        # What it prints is what somebody else may run.
        code, sql, _ = stores.run("store", "init", "--print-sql", cwd=tree)
        made = subprocess.run(["psql", "-h", "127.0.0.1", "-p", str(server.port), "-U", server.user, "-d", "empty", "-v", "ON_ERROR_STOP=1", "-q"], input=sql,
                              text=True, env=os.environ | {"PGPASSWORD": server.password}, capture_output=True, check=False)
        checks.check(code == 0 and made.returncode == 0, f"{name}: the printed SQL: {made.stderr[-500:]}")
        server.psql("GRANT USAGE ON SCHEMA pydebug TO reader; GRANT SELECT ON ALL TABLES IN SCHEMA pydebug TO reader", "empty")
        refused(f"a role of {name} that may only read", ["--postgres", f"postgres://reader@{at}/empty"], ["permission"], {"PGPASSWORD": secret})
        server.psql("UPDATE pydebug.schema_version SET version = 99", "empty")
        refused(f"a newer schema in {name}", ["--postgres", f"postgres://pydebug@{at}/empty"], ["version 99"])
        code, report, said = stores.analyze(tree, cache, name, project="refused")
        checks.check(code == 0, f"{name} after all refusals: {said[-600:]}")
        # A reader that idles in a transaction defers the removal of what it reads, and nothing else.
        reader = subprocess.Popen(["psql", "-h", "127.0.0.1", "-p", str(server.port), "-U", server.user, "-d", "pydebug", "-Atq"], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, text=True, env=os.environ | {"PGPASSWORD": server.password})
        assert reader.stdin is not None and reader.stdout is not None
        reader.stdin.write("BEGIN; SELECT 'here' FROM pydebug.current_symbols LIMIT 1;\n")
        reader.stdin.flush()
        reader.stdout.readline()
        for number in range(2):
            write(tree, {f"{letter}.py": "\n" * number + "".join(f"def {letter}{at}(): pass\n" for at in range(400)) for letter in "bcdefg"})
            code, report, said = stores.analyze(tree, cache, name, project="refused")
            checks.check(code == 0, f"{name} under an idle reader: {said[-600:]}")
        code, out, said = stores.run("store", "gc", ".", "--project", "refused", "--cache-dir", cache, "--format", "json", *stores.flags(name), cwd=tree)
        checks.check(code == 0 and json.loads(out)["postgres"]["deferred"] > 0, f"{name}: gc under an idle reader: {code} {out} {said[-400:]}")
        reader.stdin.close()
        reader.wait()
        code, out, _ = stores.run("store", "gc", ".", "--project", "refused", "--cache-dir", cache, "--format", "json", *stores.flags(name), cwd=tree)
        checks.check(code == 0 and json.loads(out)["postgres"]["deferred"] == 0, f"{name}: gc after it: {code} {out}")
        left = server.psql("SELECT count(*) FROM pydebug.generations g JOIN pydebug.projects p ON p.key = g.project WHERE p.name = 'refused'")
        checks.check(left == "1", f"{name}: {left} generations after gc")
        if server.tls:
            encrypted(stores, name, server, refused, checks, tree, cache)


def encrypted(stores: Stores, name: str, server: services.Server, refused: Callable[..., None], checks: Checks, tree: Path, cache: Path) -> None:
    """What is checked of a certificate, and that nobody is talked out of encryption."""
    of = lambda host, options: ["--postgres", f"postgres://pydebug@{host}:{server.port}/pydebug?{options}"]  # noqa: E731
    right, wrong = server.tls["root_certificate"], server.tls["other_root_certificate"]
    for host, options in (("localhost", f"sslmode=verify-full&sslrootcert={right}"), ("127.0.0.1", f"sslmode=verify-full&sslrootcert={right}"),
                          ("127.0.0.1", f"sslmode=verify-ca&sslrootcert={right}"), ("127.0.0.1", "sslmode=require"), ("127.0.0.1", "sslmode=disable")):
        code, _, said = stores.run("store", "status", ".", "--project", "refused", "--cache-dir", cache, *of(host, options), cwd=tree)
        checks.check(code == 0, f"{name} by {options.split('&')[0]}: {said[-500:]}")
    for mode in ("verify-full", "verify-ca", "require"):
        refused(f"{name}, {mode}, another authority", of("localhost", f"sslmode={mode}&sslrootcert={wrong}"), ["certificate", "tls"])
    refused(f"{name}, verify-full, an authority nobody knows", of("localhost", "sslmode=verify-full"), ["certificate", "tls"])
    # The command line of the server names its certificate, and nothing but a new command line changes it.
    kept = list(server.command)
    server.command = [part.replace(server.tls["server_certificate"], server.tls["stranger_certificate"]).replace(server.tls["server_key"], server.tls["stranger_key"])
                      for part in server.command]
    server.stop()
    server.launch()
    refused(f"{name}, verify-full, a certificate for another host", of("localhost", f"sslmode=verify-full&sslrootcert={right}"), ["certificate", "tls"])
    code, _, said = stores.run("store", "status", ".", "--project", "refused", "--cache-dir", cache, *of("localhost", f"sslmode=verify-ca&sslrootcert={right}"), cwd=tree)
    checks.check(code == 0, f"{name}, verify-ca, a certificate for another host: {said[-500:]}")
    server.command = [part.replace("ssl=on", "ssl=off") for part in kept]
    server.stop()
    server.launch()
    refused(f"{name}, require, a server that does not encrypt", of("localhost", "sslmode=require"), ["tls"])
    server.command = kept
    server.stop()
    server.launch()


def encrypted_bolt(stores: Stores, server: services.Server, refused: Callable[..., None], checks: Checks, tree: Path, cache: Path) -> None:
    """Neo4j's certificate is checked against the authorities of the system, or those that SSL_CERT_FILE names."""
    of = lambda scheme, host: ["--neo4j", f"{scheme}://{host}:{server.port}"]  # noqa: E731
    right, wrong = ({"SSL_CERT_FILE": server.tls[name]} for name in ("root_certificate", "other_root_certificate"))
    for scheme, host, more in (("bolt+s", "localhost", right), ("bolt+s", "127.0.0.1", right), ("bolt+ssc", "127.0.0.1", {}), ("bolt", "127.0.0.1", {})):
        code, _, said = stores.run("store", "status", ".", "--project", "refused", "--cache-dir", cache, *of(scheme, host), cwd=tree, more=more)
        checks.check(code == 0, f"Neo4j by {scheme} to {host}: {said[-500:]}")
    refused("Neo4j, bolt+s, an authority nobody knows", of("bolt+s", "localhost"), ["certificate"])
    refused("Neo4j, bolt+s, another authority", of("bolt+s", "localhost"), ["certificate"], wrong)
    # The server reads its certificate when it starts.
    conf = Path(server.folder) / "conf" / "neo4j.conf"
    kept = conf.read_text()
    conf.write_text(kept.replace(server.tls["server_certificate"], server.tls["stranger_certificate"]).replace(server.tls["server_key"], server.tls["stranger_key"]))
    server.stop()
    server.launch()
    refused("Neo4j, bolt+s, a certificate for another host", of("bolt+s", "localhost"), ["certificate"], right)
    conf.write_text(kept)
    server.stop()
    server.launch()


class Cutter:
    """A relay that cuts its first connection after so many bytes from the client; later ones live."""

    def __init__(self, port: int, after: int) -> None:
        self.server_port, self.after, self.was_cut = port, after, False
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self.listener.getsockname()[1])
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.server_port))
            threading.Thread(target=self.passed, args=(client, server, True), daemon=True).start()
            threading.Thread(target=self.passed, args=(server, client, False), daemon=True).start()

    def passed(self, source: socket.socket, to: socket.socket, counted: bool) -> None:
        left = self.after
        try:
            while data := source.recv(4096):
                if counted and not self.was_cut:
                    left -= len(data)
                    if left < 0:
                        self.was_cut = True
                        break
                to.sendall(data)
        except OSError:
            pass
        for end in (source, to):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self) -> None:
        self.listener.close()


def cuts(stores: Stores, scratch: Path, checks: Checks) -> None:
    """The line to a server is cut in the middle of the rows of a load. The run tries again; if it gives up, the next one writes."""
    tree, cache = scratch / "pristine", scratch / "cache-cuts"
    for name, server in stores.servers.items():
        sent = 0
        for number, after in enumerate((200, 5_000, 20_000, 50_000, 100_000, 200_000)):
            project = f"cut-{name}-{number}"
            cutter = Cutter(server.port, after)
            flags = ["--neo4j", f"bolt://127.0.0.1:{cutter.port}"] if name == "neo4j" else ["--postgres", f"postgres://pydebug@127.0.0.1:{cutter.port}/pydebug"]
            code, _, said = stores.run("analyze", ".", "--project", project, "--cache-dir", cache, "-q", *flags, cwd=tree)
            sent += cutter.was_cut
            cutter.close()
            checks.check(code in (0, 2), f"{name}, cut after {after} bytes: gave {code}: {said[-800:]}")
            code, _, said = stores.analyze(tree, cache, name, project=project)
            if checks.check(code == 0, f"{name}, cut after {after} bytes: the next run gave {code}: {said[-800:]}"):
                equal, why = stores.verify(tree, cache, name, project=project)
                checks.check(equal, f"{name}, cut after {after} bytes: {why}")
        checks.check(sent >= 4, f"{name}: {sent} of 6 lines were cut")


def full_disks(stores: Stores, scratch: Path, checks: Checks) -> None:
    """A server of PostgreSQL whose disk is full says so; what it held stays, and when there is room again the next run writes."""
    server = next((server for name, server in stores.servers.items() if name.startswith("postgres")), None)
    if server is None or os.geteuid() != 0:
        print("!!!! SKIPPED: full disk of a server: needs PostgreSQL, and root to mount a small one", flush=True)
        return
    small = Path(server.folder) / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(small)], capture_output=True, check=False).returncode != 0:
        print("!!!! SKIPPED: full disk of a server: nothing can be mounted here", flush=True)
        return
    try:
        space = small / "space"
        space.mkdir()
        shutil.chown(space, "postgres", "postgres")
        tree, cache, name = scratch / "pristine", scratch / "cache-full", server.name
        before = write(scratch / "before", {"a.py": "def f(): pass\n"})
        code, _, said = stores.analyze(before, scratch / "cache-before", name, project="full")
        checks.check(code == 0, f"before the disk is full: {said[-600:]}")
        server.psql(f"CREATE TABLESPACE small LOCATION '{space}'")
        server.psql("ALTER ROLE pydebug SET default_tablespace = small")
        code, _, said = stores.run("analyze", ".", "--project", "full", "--cache-dir", cache, "-q", *stores.flags(name), cwd=tree)
        checks.check(code == 2 and "space" in said.lower(), f"a full disk of {name}: gave {code}: {said[-800:]}")
        equal, why = stores.verify(before, scratch / "cache-before", name, project="full")
        checks.check(equal, f"what was held before the disk of {name} was full: {why}")
        server.psql("ALTER ROLE pydebug RESET default_tablespace")
        code, _, said = stores.analyze(tree, cache, name, project="full")
        checks.check(code == 0, f"a disk of {name} with room again: {said[-800:]}")
        equal, why = stores.verify(tree, cache, name, project="full")
        checks.check(equal, f"a disk of {name} with room again: {why}")
        server.psql("DROP TABLESPACE small")
    finally:
        subprocess.run(["umount", str(small)], check=False)


def little_memory(stores: Stores, scratch: Path, checks: Checks) -> None:
    """A Neo4j that lets a transaction have little memory gets its rows in smaller pieces."""
    if "neo4j" not in stores.servers:
        return
    tree = write(scratch / "little", {f"many{at}.py": "".join(f"def f{number}(a, b={number}):\n    return f{max(number - 1, 0)}(a)\n" for number in range(3000)) for at in range(4)})
    folder = services.make_folder()
    servers = {"neo4j": services.start_neo4j(folder / "neo4j", settings=("db.memory.transaction.max=4m",))}
    try:
        little = Stores(stores.binary, scratch, servers)
        for step in ("load", "delta", "delta too large for one transaction"):
            if step == "delta":
                small_change(tree, 1)
            elif step != "load":
                for path in sorted(tree.rglob("*.py"))[:1]:
                    path.write_text("\n\n" + path.read_text())
            code, out, said = little.run("-vv", "analyze", ".", "--project", "little", "--cache-dir", scratch / "cache-little", *little.flags("neo4j"), cwd=tree)
            checks.check(code == 0, f"little memory, {step}: gave {code}: {said[-800:]}")
            if step == "load":
                checks.check("in halves" in said, f"little memory: nothing was halved: {said[-300:]}")
            equal, why = little.verify(tree, scratch / "cache-little", "neo4j", project="little")
            checks.check(equal, f"little memory, {step}: {why}")
        stores.said += little.said
    finally:
        services.end(servers, folder)


def leftovers(stores: Stores, scratch: Path, checks: Checks) -> None:
    """`scripts/services down` leaves no process and no folder."""
    folder = services.make_folder()
    names = [name for name in stores.servers if name != "postgres18"]
    script = [sys.executable, str(Path(services.__file__))]
    up = subprocess.run([*script, "up", *names, "--dir", str(folder)], capture_output=True, text=True, check=False)
    if not checks.check(up.returncode == 0, f"services up: {up.returncode}: {up.stderr[-600:]}"):
        return
    servers = services.load(folder)
    alive = [name for name, server in servers.items() if server.is_alive()]
    checks.check(alive == names, f"services up: {alive} of {names} live")
    down = subprocess.run([*script, "down", str(folder)], capture_output=True, text=True, check=False)
    checks.check(down.returncode == 0, f"services down: {down.returncode}: {down.stderr[-600:]}")
    alive = [name for name, server in servers.items() if server.is_alive()]
    checks.check(not alive, f"services down: {alive} still live")
    checks.check(not folder.exists(), f"services down: `{folder}` is still there")


def imports(stores: Stores, scratch: Path, checks: Checks) -> None:
    """What `neo4j-admin database import full` makes of the exported files is what a load writes, and goes on from there."""
    if "neo4j" not in stores.servers:
        return
    server = stores.servers["neo4j"]
    tree, cache = scratch / "imported", scratch / "cache-imported"
    shutil.copytree(scratch / "pristine", tree)
    write(tree, HOSTILE)
    code, _, said = stores.run("analyze", ".", "--project", "imported", "--cache-dir", cache, "-q", cwd=tree)
    checks.check(code == 0, f"before the export: {said[-600:]}")
    code, out, said = stores.run("store", "export", ".", "--neo4j-import", scratch / "files", "--project", "imported", "--cache-dir", cache, "--format", "json", cwd=tree)
    if not checks.check(code == 0, f"export: {said[-600:]}"):
        return
    options = json.loads(out)["command"].split()[4:]
    server.stop()
    server.import_full(options)
    server.launch()
    code, _, said = stores.run("store", "init", ".", "--project", "imported", "--cache-dir", cache, *stores.flags("neo4j"), cwd=tree)
    checks.check(code == 0, f"init after the import: {said[-600:]}")
    equal, why = stores.verify(tree, cache, "neo4j", project="imported")
    checks.check(equal, f"after the import: {why}")
    small_change(tree, 1)
    code, report, said = stores.analyze(tree, cache, "neo4j", project="imported")
    checks.check(code == 0 and report["stores"][0]["kind"] == "delta", f"a delta after the import: {code} {report.get('stores')} {said[-600:]}")
    equal, why = stores.verify(tree, cache, "neo4j", project="imported")
    checks.check(equal, f"a delta after the import: {why}")


def obtain(names: list[str], folder: Path, checks: Checks) -> dict[str, services.Server]:
    servers = {}
    for name in names:
        try:
            servers[name] = services.start(folder, name, tls=name != "postgres18")
        except services.Unobtainable as error:
            print(f"!!!! SKIPPED: {name} can't be obtained: {error}", flush=True)
            if os.environ.get("CI") == "true":
                checks.check(False, f"{name} can't be obtained, and a skip is a failure in CI")
    return servers


def main() -> int:
    options = parser(__doc__)
    options.add_argument("package", type=Path, nargs="?", help="the package to edit, such as `.cache/corpora/django/django` (else the scripts of this project)")
    options.add_argument("--part", action="append", default=[], help="a folder of it (repeatable; all of it unless given)")
    options.add_argument("--scripts", type=int, default=5, help="edit scripts (default 5)")
    options.add_argument("--seed", type=int, default=1, help="seed of the first script")
    options.add_argument("--kills", type=int, default=4, help="kills of the program for each store (default 4)")
    options.add_argument("--server-kills", type=int, default=1, help="kills of each server (default 1)")
    options.add_argument("--deltas", type=int, default=6, help="deltas that readers race (default 6)")
    options.add_argument("--loads", type=int, default=2, help="full loads that readers race (default 2)")
    options.add_argument("--server", action="append", default=[], choices=services.NAMES, help="only these servers (repeatable)")
    options.add_argument("--only", action="append", default=[], help="only these parts: scenarios, refusals, edits, races, kills, failpoints, server_kills, imports, cuts, full_disks, little_memory, leftovers")
    given = options.parse_args()
    checks = Checks()
    binary = find_binary(given.binary)
    folder = services.make_folder()
    servers: dict[str, services.Server] = {}
    try:
        servers = obtain(given.server or ["postgres", "neo4j"], folder, checks)
        stores = Stores(binary, folder, servers)
        with tempfile.TemporaryDirectory(prefix="pydebug-stores-") as made:
            scratch = Path(made)
            package = given.package or Path(__file__).resolve().parent
            take(package.resolve(), given.part, scratch / "pristine")
            parts: dict[str, Callable[[], None]] = {
                "scenarios": lambda: scenarios(stores, scratch, checks),
                "refusals": lambda: refusals(stores, scratch, checks),
                "edits": lambda: edits(stores, scratch, checks, given.scripts, given.seed),
                "races": lambda: races(stores, scratch, checks, given.deltas, given.loads),
                "kills": lambda: kills(stores, scratch, checks, given.kills),
                "failpoints": lambda: failpoints(stores, scratch, checks),
                "server_kills": lambda: server_kills(stores, scratch, checks, given.server_kills),
                "imports": lambda: imports(stores, scratch, checks),
                "cuts": lambda: cuts(stores, scratch, checks),
                "full_disks": lambda: full_disks(stores, scratch, checks),
                "little_memory": lambda: little_memory(stores, scratch, checks),
                "leftovers": lambda: leftovers(stores, scratch, checks),
            }
            for name, part in parts.items():
                if given.only and name not in given.only:
                    continue
                started, before = time.monotonic(), checks.passed
                try:
                    part()
                except Exception as error:  # noqa: BLE001: one part that ends must not hide the others
                    checks.check(False, f"{name} ended: {error!r}")
                print(f"{name}: {checks.passed - before} passed in {time.monotonic() - started:.0f} s", flush=True)
        checks.check(not stores.hidden(), f"passwords were printed: {stores.hidden()}")
    finally:
        services.end(servers, folder)
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
