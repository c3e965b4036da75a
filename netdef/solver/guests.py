"""What plugins bring to a training run, so that a failure in it names the plugin: rules, policies, observers."""

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from netdef.blame import PASSED, blamed, named
from netdef.errors import NetdefError, SolverError
from netdef.registry import Provided, Registry
from netdef.solver.policy import Schedule

_log = logging.getLogger(__name__)


def naming(what: str, found: Provided) -> Callable[[], AbstractContextManager[None]]:
    """Makes contexts that name a plugin's thing in what goes wrong inside."""
    return lambda: named(what, found.plugin, SolverError)


def schedule(param: Any, registry: Registry) -> Schedule:
    """The learning rate by lr_policy, tried once."""
    found = registry.find("policies", param.lr_policy)
    return Schedule(param, found.thing, naming(f"lr_policy '{param.lr_policy}'", found))


class Observer:
    """A plugin's observer. Where it fails, the run goes on without it, unless plugins are to be strict.

    A NetdefError passes: it is how an observer stops a run on purpose.
    """

    _gone = False

    def __init__(self, observer: Provided, strict: bool):
        self._observer, self._strict = observer, strict
        self._what = f"observer {type(observer.thing).__name__}"

    def __getattr__(self, event: str) -> Callable[..., Any]:
        listen = getattr(self._observer.thing, event)

        def guarded(*args: Any) -> Any:
            try:
                return None if self._gone else listen(*args)
            except (NetdefError, *PASSED):
                raise
            except BaseException as e:
                error = blamed(e, self._observer.plugin, SolverError)
                if self._strict:
                    raise error.at(self._what) from e
                self._gone = True
                _log.warning("%s: %s; the run goes on without it", self._what, error)
                return None

        return guarded
