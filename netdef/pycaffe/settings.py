"""Settings of the whole process, as pycaffe has them."""

import logging

from netdef import registry

_log = logging.getLogger("netdef")
_seed: int | None = None


def set_mode_cpu() -> None:
    """Nothing to do: netdef runs on the CPU."""


def set_mode_gpu() -> None:
    """Accepted so that scripts run; netdef runs on the CPU and says so once."""
    _log.warning("netdef has no GPU mode: running on the CPU")


def set_device(device: int) -> None:
    """Accepted and ignored, as there is no GPU to choose."""


def set_random_seed(seed: int) -> None:
    """Seeds the fillers and random layers of nets built from now on."""
    global _seed
    _seed = int(seed)


def random_seed() -> int | None:
    return _seed


def layer_type_list() -> list[str]:
    """Every layer type that some plugin provides."""
    return registry.default().names("layers")
