"""Look inside a built wheel, install it into an environment of its own far from the source tree, and use it there.

Usage: python .ci/check_wheel.py dist/NAME.whl
"""
# ruff: noqa: S603, T201 - a script that runs what it has just installed, and prints

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import venv
from zipfile import ZipFile

PACKAGES = {"pronto_lmdb", "pronto_cli"}
LIBRARY_SCRIPT = """
import pronto_lmdb, pronto_cli
for package in (pronto_lmdb, pronto_cli):
    assert "site-packages" in package.__file__, f"{package.__file__} is not the installed one"
with pronto_lmdb.open("store") as store:
    store["alice.research"]["plan"] = {"step": 1}
with pronto_lmdb.open("store") as store:
    assert store["alice.research"]["plan"] == {"step": 1}
    assert [str(info.address) for info in store.addresses()] == ["alice.research"]
"""


def check_contents(wheel: str) -> None:
    """Exit with a message if the wheel holds more or less than the two packages and its own metadata."""
    with ZipFile(wheel) as archive:
        names = archive.namelist()
    tops = {name.split("/")[0] for name in names}
    metadata = {top for top in tops if top.endswith(".dist-info")}
    if tops - metadata != PACKAGES or len(metadata) != 1:
        sys.exit(f"{wheel} should hold {sorted(PACKAGES)} and one .dist-info, but holds {sorted(tops)}")
    absent = {f"{package}/py.typed" for package in PACKAGES} - set(names)
    if absent:
        sys.exit(f"{wheel} lacks {sorted(absent)}")


def check_installed(wheel: str, place: str) -> None:
    """Install the wheel below ``place`` and run the library and both commands from there."""
    environment = os.path.join(place, "venv")
    venv.create(environment, with_pip=True)
    binaries = os.path.join(environment, "Scripts" if os.name == "nt" else "bin")
    python = os.path.join(binaries, "python")
    clean = {name: text for name, text in os.environ.items() if not name.startswith(("PYTHON", "PRONTO_"))}

    def run(*command: str) -> str:
        return subprocess.run(command, cwd=place, env=clean, check=True, stdout=subprocess.PIPE, text=True).stdout

    run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", wheel)
    run(python, "-c", LIBRARY_SCRIPT)
    for name in ("pronto", "prontodb"):
        command = os.path.join(binaries, name)
        version = run(command, "version")
        run(command, "--root", "store", "set", "greeting", "hello")
        greeting = run(command, "--root", "store", "get", "greeting")
        if greeting != "hello\n":
            sys.exit(f"{name} get printed {greeting!r}, not 'hello'")
        print(f"{name}: {version.strip()}")


def main() -> None:
    """Check the one wheel named on the command line."""
    wheel = os.path.abspath(sys.argv[1])
    check_contents(wheel)
    with tempfile.TemporaryDirectory() as place:
        check_installed(wheel, place)
    print(f"{os.path.basename(wheel)} holds what it should and works where it is installed")


if __name__ == "__main__":
    main()
