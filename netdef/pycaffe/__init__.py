"""The face that scripts written for pycaffe know: `import netdef.pycaffe as caffe`."""

from netdef import __version__
from netdef.layer import TEST, TRAIN
from netdef.pycaffe import io, proto
from netdef.pycaffe.layer import Layer
from netdef.pycaffe.net import Net
from netdef.pycaffe.net_spec import NetSpec, layers, params, to_proto
from netdef.pycaffe.settings import layer_type_list, set_device, set_mode_cpu, set_mode_gpu, set_random_seed
from netdef.pycaffe.solver import (
    AdaDeltaSolver,
    AdaGradSolver,
    AdamSolver,
    NesterovSolver,
    RMSPropSolver,
    SGDSolver,
    get_solver,
)

__all__ = [
    "TEST",
    "TRAIN",
    "AdaDeltaSolver",
    "AdaGradSolver",
    "AdamSolver",
    "Layer",
    "NesterovSolver",
    "Net",
    "NetSpec",
    "RMSPropSolver",
    "SGDSolver",
    "__version__",
    "get_solver",
    "io",
    "layer_type_list",
    "layers",
    "params",
    "proto",
    "set_device",
    "set_mode_cpu",
    "set_mode_gpu",
    "set_random_seed",
    "to_proto",
]
