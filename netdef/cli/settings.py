"""The flags that every command has, put into effect while it runs."""

import argparse
import contextlib
import logging
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from netdef.cli.failure import say
from netdef.errors import PluginError

if TYPE_CHECKING:
    from netdef.registry import Registry


@contextlib.contextmanager
def applied(args: argparse.Namespace) -> Iterator[None]:
    """Flags become environment variables, so that processes a command starts see the same plugins."""
    wanted = {
        "NETDEF_PLUGIN_FILES": os.pathsep.join(args.plugin),
        "NETDEF_ALLOW": ",".join(args.allow_plugins),
        "NETDEF_DENY": ",".join(args.deny_plugins),
        "NETDEF_PREFER": ",".join(f"{name}={plugin}" for name, plugin in args.prefer.items()),
        "NETDEF_STRICT": "1" * args.strict_plugins,
        "NETDEF_ALLOW_CODE": "1" * args.allow_code,
    }
    before = {name: os.environ.get(name) for name, value in wanted.items() if value}
    for name, old in before.items():
        joined = old and name in ("NETDEF_PLUGIN_FILES", "NETDEF_PREFER")
        os.environ[name] = f"{old},{wanted[name]}" if joined else wanted[name]
    _forget_plugins(bool(before))
    try:
        yield
    finally:
        for name, old in before.items():
            del os.environ[name]
            if old is not None:
                os.environ[name] = old
        _forget_plugins(bool(before))


def _forget_plugins(changed: bool) -> None:
    if changed:
        from netdef import registry

        registry.default.cache_clear()


def plugins(args: argparse.Namespace) -> "Registry":
    """The plugins of this process; a warning for each that failed, an error where a flag asked for it."""
    from netdef import registry

    loaded = registry.default()
    for plugin in loaded.plugins:
        if plugin.error and plugin.module in args.plugin:
            raise PluginError(f"--plugin {plugin.module}: {plugin.error}")
        if plugin.error:
            say(f"warning: plugin {plugin.name} {plugin.version}".rstrip() + f": {plugin.error} (see: netdef plugins)")
    return loaded


class Lines(logging.Handler):
    """What the engine logs, as lines of the program's own."""

    def emit(self, record: logging.LogRecord) -> None:
        say(f"{'note' if record.levelno == logging.INFO else record.levelname.lower()}: {record.getMessage()}")


@contextlib.contextmanager
def heard() -> Iterator[None]:
    """The engine's notes and warnings on stderr while a command runs."""
    log, handler = logging.getLogger("netdef"), Lines(logging.INFO)
    log.addHandler(handler)
    propagate, log.propagate = log.propagate, False
    level = log.level
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.propagate = propagate
        log.setLevel(level)
