"""Fetches pinned Python trees by package name and unpacks them, or copies the standard library of this Python.

    python3 scripts/corpora.py FOLDER django sympy Lib

leaves `FOLDER/django`, `FOLDER/sympy` and `FOLDER/Lib`; what is already there in the right version is left alone.
"""

from __future__ import annotations

import argparse
import platform
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from pathlib import Path

PINNED = {"django": "5.2.19", "sympy": "1.14.0", "pandas": "3.1.1", "transformers": "5.23.0"}
# One and the same wheel wherever this runs; nothing in it is ever imported.
WHEEL = ["--only-binary=:all:", "--python-version", "3.11", "--platform", "manylinux_2_24_x86_64", "--platform", "manylinux_2_28_x86_64",
         "--platform", "any"]


def version(name: str) -> str:
    return platform.python_version() if name == "Lib" else PINNED[name]


def fetch(name: str, folder: Path) -> Path:
    """The folder that holds this tree; `subprocess.CalledProcessError` where it can't be downloaded."""
    target, stamp = folder / name, folder / f"{name}.version"
    if target.is_dir() and stamp.is_file() and stamp.read_text() == version(name):
        return target
    folder.mkdir(parents=True, exist_ok=True)
    stamp.unlink(missing_ok=True)
    shutil.rmtree(target, ignore_errors=True)
    if name == "Lib":
        skipped = shutil.ignore_patterns("__pycache__", "site-packages", "dist-packages", "*.so", "*.a")
        shutil.copytree(sysconfig.get_path("stdlib"), target, ignore=skipped, symlinks=True)
    else:
        with tempfile.TemporaryDirectory(dir=folder) as wheels:
            subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", *WHEEL, "--dest", wheels,
                            f"{name}=={PINNED[name]}"], check=True, stdout=sys.stderr)
            with zipfile.ZipFile(next(Path(wheels).glob("*.whl"))) as wheel:
                wheel.extractall(target)
    stamp.write_text(version(name))
    return target


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    options.add_argument("folder", type=Path)
    options.add_argument("names", nargs="+", choices=[*PINNED, "Lib"])
    arguments = options.parse_args()
    for name in arguments.names:
        try:
            print(fetch(name, arguments.folder))
        except (subprocess.CalledProcessError, OSError) as error:
            print(f"error: no {name} {version(name)}: {error}", file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
