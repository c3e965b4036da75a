"""Kernels for vectors of four floats, made by LLVM for a processor that is not here."""

import os
import subprocess
import sys

import pytest
from llvmlite import binding

ASSEMBLY = """
import re
from llvmlite import binding
from numba import cfunc, types
from netdef_plugins.kernels import MODULE, native, simd
assert simd.VL == 4
binding.initialize_all_targets()
binding.initialize_all_asmprinters()
target = binding.Target.from_triple("aarch64-linux-gnu")
machine = target.create_target_machine(cpu="cortex-a72", features="+neon", opt=3)
signature = types.void(types.CPointer(types.float32), types.intp, types.intp)
text = cfunc(signature, fastmath=native.FAST, error_model="numpy")(TASK.function).inspect_llvm()
text = re.sub(r'target (triple|datalayout) = ".*"|"target-(cpu|features)"="[^"]*"', "", text)
module = binding.parse_assembly(text)
module.triple, module.data_layout = "aarch64-linux-gnu", str(machine.target_data)
print(machine.emit_assembly(module))
"""


@pytest.mark.parametrize(
    "task,least",
    [
        ("correlate.correlate_block", 16),
        ("direct.forward31", 63),
        ("direct_weights.update31", 63),
        ("direct_weights.update31both", 72),
    ],
)
def test_a_convolution_for_neon_multiplies_and_adds_in_registers(task, least):
    """The tile of 8 x 2 vectors, 7 rows that meet 9 taps, or twice 4 that do: fused multiply-adds, and none that calls
    a function."""
    binding.initialize_all_targets()
    try:
        binding.Target.from_triple("aarch64-linux-gnu")
    except RuntimeError:
        pytest.skip("this LLVM makes no code for aarch64")
    code = ASSEMBLY.replace("MODULE", task.split(".")[0]).replace("TASK", task)
    narrow = {"NUMBA_CPU_NAME": "x86-64", "NUMBA_CPU_FEATURES": "+sse,+sse2"}
    run = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | narrow, capture_output=True, text=True, check=True
    )
    lines = [line.split() for line in run.stdout.splitlines()]
    assert sum(line[:1] == ["fmla"] and ".4s" in line[1] for line in lines) >= least
    assert not [line for line in lines if line[:1] == ["bl"] and "fma" in line[1]]
