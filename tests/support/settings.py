"""Every settings class of every process, found by import: documents and files of deployment are held against them."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator

from pydantic_settings import BaseSettings

import services


def settings_classes() -> list[type[BaseSettings]]:
    """The settings classes of the runtime and of all services, by module and name."""
    found: dict[str, type[BaseSettings]] = {}
    for module in _settings_modules():
        for value in vars(importlib.import_module(module)).values():
            if isinstance(value, type) and issubclass(value, BaseSettings) and value.__module__ == module:
                found[f"{module}.{value.__name__}"] = value
    return [found[name] for name in sorted(found)]


def setting_names() -> set[str]:
    """The environment variables that these classes read."""
    return {variable_of(cls, field) for cls in settings_classes() for field in cls.model_fields}


def variable_of(cls: type[BaseSettings], field: str) -> str:
    """The environment variable behind a field."""
    return f"{cls.model_config['env_prefix']}{field}".upper()


def _settings_modules() -> Iterator[str]:
    for module in pkgutil.walk_packages(services.__path__, "services."):
        if module.name.endswith(".settings"):
            yield module.name
