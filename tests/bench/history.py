"""The benchmarks' history: a file of JSON lines, a record for each run with what it ran on."""

import importlib.metadata
import json
import os
import platform
import subprocess
import time
from pathlib import Path

PACKAGES = ("netdef-nn", "numpy", "numba", "llvmlite")


def about(threads: int) -> dict[str, object]:
    """Date, machine, versions and thread count; the commit where the code is a clone's."""
    versions = {name: importlib.metadata.version(name) for name in PACKAGES} | {"python": platform.python_version()}
    git = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    commit = subprocess.run(git, capture_output=True, text=True)
    return {
        "at": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "machine": f"{platform.system()} {platform.machine()}, {_processor()}",
        "cores": os.cpu_count(),
        "threads": threads,
        "versions": versions,
        "commit": commit.stdout.strip(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(": ", 1)[1] for line in lines if line.startswith("model name")), platform.processor())


def append(file: str, record: dict[str, object]) -> None:
    with open(file, "a") as out:
        out.write(json.dumps(record) + "\n")
