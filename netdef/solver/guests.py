"""What plugins bring to a training run, so that a failure in it names the plugin: rules, policies, observers."""

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from netdef.blame import PASSED, blamed, named
from netdef.errors import NetdefError, SolverError
from netdef.registry import Provided, Registry

_log = logging.getLogger(__name__)


def naming(what: str, found: Provided) -> Callable[[], AbstractContextManager[None]]:
    """Makes contexts that name a plugin's thing in what goes wrong inside."""
    return lambda: named(what, found.plugin, SolverError)


def policy(param: Any, registry: Registry) -> Callable[[Any, int], float]:
    """A learning-rate policy, tried at iteration 0."""
    found = registry.find("policies", param.lr_policy)
    guard = naming(f"lr_policy '{param.lr_policy}'", found)

    def rate(settings: Any, iteration: int) -> float:
        with guard():
            return float(found.thing(settings, iteration))

    rate(param, 0)
    return rate


class Observer:
    """A plugin's observer. Where it fails, the run goes on without it, unless plugins are to be strict.

    A NetdefError passes: it is how an observer stops a run on purpose.
    """

    failed = False

    def __init__(self, observer: Provided, strict: bool):
        self._observer, self._strict = observer, strict
        self._what = f"observer {type(observer.thing).__name__}"

    def __getattr__(self, event: str) -> Callable[..., None]:
        listen = getattr(self._observer.thing, event)

        def guarded(*args: Any) -> None:
            try:
                if not self.failed:
                    listen(*args)
            except (NetdefError, *PASSED):
                raise
            except BaseException as e:
                error = blamed(e, self._observer.plugin, SolverError)
                if self._strict:
                    raise error.at(self._what) from e
                self.failed = True
                _log.warning("%s: %s; the run goes on without it", self._what, error)

        return guarded
