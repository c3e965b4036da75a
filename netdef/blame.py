"""Whose fault: an exception in a plugin's code becomes an error that names the plugin, its version and its line."""

from collections.abc import Iterator
from contextlib import contextmanager

from netdef.errors import LayerError, NetdefError
from netdef.loading import Plugin, first_line, own_line

PASSED = (KeyboardInterrupt, GeneratorExit)
"""What a user or the interpreter wants, and no plugin's fault."""


def blamed(error: BaseException, plugin: Plugin, kind: type[NetdefError] = LayerError) -> NetdefError:
    """A NetdefError as it is: it is meant for the user. Anything else, an exit too, with the plugin it came from.

    Memory that runs out is nobody's fault.
    """
    if isinstance(error, NetdefError):
        return error
    if isinstance(error, MemoryError):
        what = f"out of memory: {error}".removesuffix(": ")
        found = kind(f"{what}; use a smaller batch, or see what the net needs with: netdef check NET")
    else:
        what = first_line(error)
        line = own_line(error, plugin.module)
        found = kind(f"{what} (plugin {plugin.titled}{f', {line}' if line else ''})")
    found.__cause__, found.meant = error, False
    return found


@contextmanager
def named(what: str, plugin: Plugin, kind: type[NetdefError]) -> Iterator[None]:
    """Put a name in front of what goes wrong inside: "filler 'ramp'"."""
    try:
        yield
    except PASSED:
        raise
    except BaseException as e:
        error = blamed(e, plugin, kind)
        if not error.placed:  # no place yet: whoever knows where it is written puts that in front
            error.args = (f"{what}: {error}",)
        raise error from error.__cause__
