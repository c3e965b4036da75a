"""How many threads may compute."""

import os


def available() -> int:
    """NETDEF_NUM_THREADS where it is set, else the cores that this process may use."""
    wanted = os.environ.get("NETDEF_NUM_THREADS", "")
    if wanted.isdigit() and int(wanted) > 0:
        return int(wanted)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
