"""Settings of the whole process, as pycaffe has them."""

import logging

from netdef import registry
from netdef.errors import NetdefError

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


def set_multiprocess(multiprocess: bool) -> None:
    """Accepted and ignored: netdef trains in one process."""


def set_solver_count(count: int) -> None:
    """Accepted for one solver. Raises NetdefError for several, which Caffe trains side by side on several GPUs."""
    if count != 1:
        raise NetdefError(f"{count} solvers side by side: netdef trains in one process, on all of its cores")


def solver_count() -> int:
    return 1


def set_solver_rank(rank: int) -> None:
    """Accepted and ignored, as there is one solver."""


def solver_rank() -> int:
    return 0


def has_nccl() -> bool:
    """Whether there is NVIDIA's library for several GPUs: no."""
    return False


def init_log(level: int = 0) -> None:
    """Accepted and ignored; what netdef says goes through Python's logging, as "netdef"."""


def log(message: str) -> None:
    """Say something in the log."""
    _log.info(message)


def layer_type_list() -> list[str]:
    """Every layer type that some plugin provides."""
    return registry.default().names("layers")
