"""The parts of kubernetes_asyncio that we use, without the thousand modules we do not.

Importing the package the documented way loads every model and API of Kubernetes: 40 MB and 0.4 s.
So its two packages of re-exports are replaced by empty ones while the modules behind them load, and
then taken away again: whoever imports kubernetes_asyncio later gets the real one. This leans on the
package's layout; where that has changed, the documented import is used instead.
"""

import importlib
import importlib.machinery
import importlib.util
import sys
import types
from typing import Any, Final

import structlog

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)

_PACKAGE: Final = "kubernetes_asyncio"
_CLIENT: Final = f"{_PACKAGE}.client"


class Library:
    """The classes and functions of kubernetes_asyncio that we call."""

    def __init__(self, configuration: types.ModuleType, config: types.ModuleType) -> None:
        """Take them from the modules that define them."""
        self.Configuration: Any = configuration.Configuration
        self.load_kube_config: Any = config.load_kube_config
        self.load_incluster_config: Any = config.load_incluster_config
        self.ConfigException: type[Exception] = config.ConfigException


def load() -> Library:
    """Return the library, loading as little of it as its layout allows."""
    if _CLIENT in sys.modules:
        return _whole()
    try:
        return _lean()
    except (ImportError, AttributeError) as reason:
        log.debug("kubernetes_asyncio_loaded_whole", reason=str(reason))
        return _whole()


def _whole() -> Library:
    return Library(importlib.import_module(_CLIENT), importlib.import_module(f"{_PACKAGE}.config"))


def _lean() -> Library:
    hollow = [_hollow(_PACKAGE), _hollow(_CLIENT)]
    before = set(sys.modules)
    sys.modules.update({module.__name__: module for module in hollow})
    try:
        configuration = importlib.import_module(f"{_CLIENT}.configuration")
        client = sys.modules[_CLIENT]
        client.__dict__.update(Configuration=configuration.Configuration, ApiClient=None)
        return Library(configuration, importlib.import_module(f"{_PACKAGE}.config"))
    except BaseException:
        _forget(before)
        raise
    finally:
        for module in hollow:
            sys.modules.pop(module.__name__, None)


def _forget(before: set[str]) -> None:
    for name in set(sys.modules) - before:
        if name.startswith(_PACKAGE):
            del sys.modules[name]


def _hollow(name: str) -> types.ModuleType:
    """Return the package with its path and nothing in it."""
    top = importlib.machinery.PathFinder.find_spec(_PACKAGE)
    if top is None or top.submodule_search_locations is None:
        raise ModuleNotFoundError(f"{_PACKAGE} is not installed", name=_PACKAGE)
    module = types.ModuleType(name)
    below = name.split(".")[1:]
    module.__path__ = ["/".join([place, *below]) for place in top.submodule_search_locations]
    return module
