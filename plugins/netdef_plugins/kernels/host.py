"""The processor that kernels are compiled for: this machine's, or what NUMBA_CPU_NAME and NUMBA_CPU_FEATURES say."""

from llvmlite import binding
from numba.core import config


def name() -> str:
    return config.CPU_NAME or binding.get_host_cpu_name()


def features() -> str:
    """What it can do, as LLVM writes it: +avx2,-avx512f,..."""
    given = config.CPU_FEATURES
    return binding.get_host_cpu_features().flatten() if given is None else given


def width() -> int:
    """Floats in a vector register: 16 with AVX-512, 8 with AVX2, else 4."""
    able = set(features().split(","))
    if "+avx512f" in able:
        return 16
    return 8 if able >= {"+avx2", "+fma"} else 4
