"""The package as a whole: what importing it loads, and what it shows."""

from __future__ import annotations

import inspect
import re
import sys
import tomllib
from typing import TYPE_CHECKING, Any

import pytest
from conftest import REPOSITORY

import pronto_lmdb

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HEAVY = ["typer", "click", "rich", "platformdirs", "dataclasses", "typing", "pathlib", "asyncio", "shutil", "inspect"]
PUBLIC = [name for name in pronto_lmdb.__all__ if name not in ("Value", "__version__")]


def loaded_after(in_another_process: Callable[..., Any], statement: str) -> set[str]:
    # Without the site module: what an environment loads at start is not ours.
    program = f"""
        import json, sys
        sys.path[1:1] = {sys.path!r}
        before = set(sys.modules)
        {statement}
        print(json.dumps(sorted(set(sys.modules) - before)))
        """
    return set(in_another_process(program))


def test_importing_the_library_loads_nothing_heavy(in_another_process: Callable[..., Any]) -> None:
    loaded = loaded_after(in_another_process, "import pronto_lmdb")
    assert "pronto_lmdb.store" in loaded
    assert not loaded & set(HEAVY)


def test_reading_and_writing_loads_nothing_heavy(root: Any, in_another_process: Callable[..., Any]) -> None:
    statement = f"import pronto_lmdb; store = pronto_lmdb.open({str(root)!r}); store['a']['k'] = 1; store.close()"
    loaded_after(in_another_process, statement)
    again = loaded_after(in_another_process, f"{statement}; assert store.closed")
    assert not again & {"typer", "click", "rich", "platformdirs", "dataclasses", "pronto_lmdb.lifecycle"}


def test_the_public_names_are_sorted_and_exist() -> None:
    assert pronto_lmdb.__all__ == sorted(pronto_lmdb.__all__)
    assert all(hasattr(pronto_lmdb, name) for name in pronto_lmdb.__all__)


def test_no_public_name_is_missing_from_all() -> None:
    ours = {
        name
        for name, value in vars(pronto_lmdb).items()
        if not name.startswith("_") and getattr(value, "__module__", "").startswith("pronto_lmdb.")
    }
    assert ours <= set(pronto_lmdb.__all__)


def test_a_star_import_gives_the_public_names() -> None:
    names: dict[str, Any] = {}
    exec("from pronto_lmdb import *", names)
    assert set(pronto_lmdb.__all__) <= names.keys()


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        pronto_lmdb.nonsense  # noqa: B018


def test_the_version_is_that_of_the_project() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    assert pronto_lmdb.__version__ == project["version"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", pronto_lmdb.__version__)


def test_the_package_says_that_it_is_typed() -> None:
    assert (REPOSITORY / "pronto_lmdb" / "py.typed").exists()


def own_members(name: str) -> Iterator[tuple[str, Any]]:
    """Yield what a public name offers: itself, and the public methods and properties that this package defines."""
    value = getattr(pronto_lmdb, name)
    yield name, value
    if not inspect.isclass(value):
        return
    for base in value.__mro__:
        if base.__module__.startswith("pronto_lmdb"):
            for member, item in vars(base).items():
                if not member.startswith("_") and (inspect.isroutine(item) or isinstance(item, property)):
                    yield f"{name}.{member}", getattr(value, member)


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_is_documented(name: str) -> None:
    undocumented = [member for member, item in own_members(name) if not inspect.getdoc(item)]
    assert undocumented == []


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_is_annotated(name: str) -> None:
    functions = {member: item.fget if isinstance(item, property) else item for member, item in own_members(name)}
    open_ends = [
        f"{member}({parameter})"
        for member, item in functions.items()
        if inspect.isroutine(item)
        for parameter, annotation in _annotations(item)
        if annotation is inspect.Parameter.empty
    ]
    assert open_ends == []


def _annotations(function: Any) -> Iterator[tuple[str, Any]]:
    signature = inspect.signature(function)
    for parameter in signature.parameters.values():
        if parameter.name not in ("self", "cls"):
            yield parameter.name, parameter.annotation
    yield "return", signature.return_annotation


def test_no_public_signature_shows_lmdb() -> None:
    for name in PUBLIC:
        for member, item in own_members(name):
            function = item.fget if isinstance(item, property) else item
            if inspect.isroutine(function):
                assert "lmdb." not in str(inspect.signature(function)), member
