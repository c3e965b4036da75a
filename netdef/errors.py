"""The one exception family: whatever the user can mend is a NetdefError, and its message says how."""


class NetdefError(Exception):
    """A message for the user: the value, the place, what would have been right."""

    placed = False
    meant = True
    """Whether somebody said it for the user; not so where it was made of an exception that nobody foresaw."""

    def at(self, place: str) -> "NetdefError":
        """The same error with its place put in front, once: inner places are nearer the cause and win."""
        if not self.placed:
            self.args = (f"{place}: {self}",)
            self.placed = True
        return self


class PrototxtError(NetdefError):
    """Text that is no message of the schema."""


class LayerError(NetdefError):
    """A layer that its options, its bottoms or its data do not fit."""


class GraphError(NetdefError):
    """Layers that do not make a net: a bottom that nothing produces, a top made twice."""


class PluginError(NetdefError):
    """A plugin that cannot be loaded, or a name that no plugin, or more than one, provides."""


class WeightsError(NetdefError):
    """A weights or state file that is damaged or does not fit the net."""


class SourceError(NetdefError):
    """Training data that is missing, damaged or of another shape."""


class AbsentError(SourceError):
    """A file that is named, but is nowhere."""


class SolverError(NetdefError):
    """Solver settings that cannot be followed."""


class ExportError(NetdefError):
    """A net that has no faithful ONNX form."""
