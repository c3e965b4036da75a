"""The face that scripts written for pycaffe know: `import netdef.pycaffe as caffe`."""

from netdef import __version__
from netdef.layer import TEST, TRAIN
from netdef.pycaffe.net import Net
from netdef.pycaffe.settings import (
    layer_type_list,
    set_device,
    set_mode_cpu,
    set_mode_gpu,
    set_random_seed,
)

__all__ = ["TEST", "TRAIN", "Net", "__version__", "layer_type_list", "set_device", "set_mode_cpu", "set_mode_gpu"]
__all__ += ["set_random_seed"]
