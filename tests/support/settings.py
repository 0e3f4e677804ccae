"""Every settings class of every process, found by import: documents and files of deployment are held against them.

`python -m tests.support.settings` writes the tables of docs/operations.md anew.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import itertools
import pkgutil
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

import services

OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"
_BEGIN = "<!-- settings: written by `python -m tests.support.settings` -->\n"
_END = "<!-- end of settings -->"


def settings_classes() -> list[type[BaseSettings]]:
    """The settings classes of the runtime and of all services, the runtime's first."""
    found: dict[str, type[BaseSettings]] = {}
    for module in _settings_modules():
        for value in vars(importlib.import_module(module)).values():
            if isinstance(value, type) and issubclass(value, BaseSettings) and value.__module__ == module:
                found[f"{module}.{value.__name__}"] = value
    return sorted(found.values(), key=lambda cls: (not cls.__module__.startswith("services.runtime"), cls.__module__))


def setting_names() -> set[str]:
    """The environment variables that these classes read."""
    return {variable_of(cls, field) for cls in settings_classes() for field in cls.model_fields}


def variable_of(cls: type[BaseSettings], field: str) -> str:
    """The environment variable behind a field."""
    return f"{cls.model_config['env_prefix']}{field}".upper()


def settings_tables() -> str:
    """Markdown: a section a class, a line a variable with its default and what the class says of it."""
    sections = []
    for cls in settings_classes():
        meanings = _meanings(cls)
        head = inspect.cleandoc(cls.__doc__ or "").split("\n\n")[0]
        lines = [f"### {_title(cls)}\n", f"{head}\n", "| variable | default | |", "|---|---|---|"]
        for field, info in cls.model_fields.items():
            lines.append(f"| `{variable_of(cls, field)}` | {_default(info)} | {meanings.get(field, '')} |")
        sections.append("\n".join(lines))
    return "\n\n".join(sections) + "\n"


def written_tables() -> str:
    """The tables as they stand in docs/operations.md."""
    return OPERATIONS.read_text("utf-8").partition(_BEGIN)[2].partition(_END)[0]


def main() -> None:
    """Writes the tables into docs/operations.md."""
    before, _, rest = OPERATIONS.read_text("utf-8").partition(_BEGIN)
    OPERATIONS.write_text(f"{before}{_BEGIN}\n{settings_tables()}\n{_END}{rest.partition(_END)[2]}", "utf-8")


def _settings_modules() -> Iterator[str]:
    for module in pkgutil.walk_packages(services.__path__, "services."):
        if module.name.endswith(".settings"):
            yield module.name


def _title(cls: type[BaseSettings]) -> str:
    """`ObjectStoreSettings` as `Object store`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", cls.__name__.removesuffix("Settings")).capitalize()


def _default(info: FieldInfo) -> str:
    default: Any = info.get_default(call_default_factory=True)
    if isinstance(default, SecretStr):
        default = default.get_secret_value()
    if default is None or default == "":
        return ""
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def _meanings(cls: type[BaseSettings]) -> dict[str, str]:
    """The docstrings below the fields, as one line each."""
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
    meanings = {}
    body = tree.body if isinstance(tree, ast.ClassDef) else []
    for node, following in itertools.pairwise(body):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and isinstance(following, ast.Expr):
            text = ast.literal_eval(following.value)
            meanings[node.target.id] = " ".join(str(text).split()).replace("|", "\\|")
    return meanings


if __name__ == "__main__":
    main()
