"""Runs every file in `fixtures/flow` under a profiler and compares who called whom with the callees that the binary finds.

    check_calls.py [--binary FILE] [FOLDER]

What was executed is the truth: each fixture runs all of its code, so an edge that is missing is missed and one too many is wrong. An edge is the line
of the caller's `def` and that of the callee's; class bodies and comprehensions belong to the function around them.
"""

from __future__ import annotations

import ast
import csv
import io
import json
import subprocess
import sys
from pathlib import Path

from harness import ROOT, Checks, find_binary, parser

Edge = tuple[int, int]

TRACER = """
import json, sys
path = sys.argv[1]
seen, frames, edges = set(), [], set()
MODULE, FUNCTION = 1, 2

def owner(frame):
    while frame is not None:
        code = frame.f_code
        if code.co_filename != path:
            return None
        if code.co_name == "<module>":
            return 0
        if code.co_flags & 1 and code.co_name not in ("<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>"):
            return code.co_firstlineno
        frame = frame.f_back
    return None

def profile(frame, event, _):
    if event != "call" or frame.f_code.co_filename != path or id(frame) in seen:
        return
    seen.add(id(frame))
    frames.append(frame)
    code = frame.f_code
    if not code.co_flags & 1 or code.co_name in ("<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>"):
        return
    back = frame.f_back
    # Through functions of other files the caller is whoever called those.
    while back is not None and back.f_code.co_filename != path:
        back = back.f_back
    caller = owner(back)
    if caller is not None:
        edges.add((caller, code.co_firstlineno))

source = open(path, encoding="utf-8").read()
program = compile(source, path, "exec")
sys.setprofile(profile)
exec(program, {"__name__": "fixture"})
sys.setprofile(None)
print(json.dumps(sorted(edges)), file=sys.stderr)
"""


def first_lines(path: Path) -> dict[int, int]:
    """Line of the first decorator of each function, and of its `def`."""
    lines = {}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.decorator_list:
            lines[node.decorator_list[0].lineno] = node.lineno
    return lines


def executed(path: Path) -> set[Edge]:
    ran = subprocess.run([sys.executable, "-c", TRACER, str(path)], capture_output=True, text=True, check=True)
    lines = first_lines(path)
    edges = json.loads(ran.stderr.strip().splitlines()[-1])
    return {(lines.get(caller, caller), lines.get(callee, callee)) for caller, callee in edges}


def found(binary: Path, path: Path) -> set[Edge]:
    command = [str(binary), "graph", "calls", str(path), "--format", "csv", "--no-cache", "--no-external"]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    edges = set()
    for row in csv.DictReader(io.StringIO(ran.stdout)):
        caller = 0 if row["source"] == path.stem else int(row["source_line"])
        edges.add((caller, int(row["target_line"])))
    return edges


def main() -> int:
    options = parser(__doc__)
    options.add_argument("folder", nargs="?", type=Path, default=ROOT / "fixtures" / "flow")
    given = options.parse_args()
    binary = find_binary(given.binary)
    checks = Checks()
    for path in sorted(given.folder.glob("*.py")):
        truth, ours = executed(path), found(binary, path)
        lines = path.read_text(encoding="utf-8").splitlines()

        def show(edge: Edge, lines: list[str] = lines) -> str:
            caller = "module" if edge[0] == 0 else lines[edge[0] - 1].strip()
            return f"`{caller}` -> line {edge[1]} `{lines[edge[1] - 1].strip()}`"

        for edge in sorted(truth | ours):
            word = "missed" if edge not in ours else "wrong"
            checks.check((edge in truth) and (edge in ours), f"{path.name}: {word}: {show(edge)}")
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
