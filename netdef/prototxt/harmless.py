"""Settings of other Caffe builds that may be ignored, always or outside of training, each with the reason why."""

_LIBRARY = "it chooses the library that computes a layer, not what is computed"
_ALGORITHM = "it chooses among GPU algorithms of equal result"
_PRECISION = "it asks for a GPU's reduced precision; netdef computes in its own"
_INT8 = "it describes an int8 build of the same float weights"
_MEMORY = "it trades memory for time on a GPU; netdef plans its own memory"
_THREADS = "it sets how data is fetched, not which"
_PLACEMENT = "it places work on several devices or machines"
_SHOWS = "it only prints or shows what happens"
_PULLS = "it pulls parameters while they are learnt; what a trained net computes is the same"

# (message, field) of a field that the schema lacks and that changes no result; "*" stands for every message
FIELDS: dict[tuple[str, str], str] = {
    ("*", "engine"): _LIBRARY,
    ("NetParameter", "compile_net_state"): "it asks for layers to be fused, to an equal result",
    ("ConcatParameter", "per_fla_fuse"): "it asks for layers to be fused, to an equal result",
    ("ConvolutionParameter", "conv_mode"): "it chooses among algorithms for sparse weights, of equal result",
    ("ConvolutionParameter", "cudnn_flavor"): _ALGORITHM,
    ("ConvolutionParameter", "cudnn_convolution_algo_seeker"): _ALGORITHM,
    ("ConvolutionParameter", "conv_algos_override"): _ALGORITHM,
    ("ConvolutionParameter", "conv_algorithm"): _ALGORITHM,
    ("LayerParameter", "cudnn_math_override"): _ALGORITHM,
    ("NetParameter", "default_cudnn_math_override"): _ALGORITHM,
    ("NetParameter", "default_conv_algos_override"): _ALGORITHM,
    ("LayerParameter", "forward_type"): _PRECISION,
    ("LayerParameter", "backward_type"): _PRECISION,
    ("LayerParameter", "forward_math"): _PRECISION,
    ("LayerParameter", "backward_math"): _PRECISION,
    ("NetParameter", "default_forward_type"): _PRECISION,
    ("NetParameter", "default_backward_type"): _PRECISION,
    ("NetParameter", "default_forward_math"): _PRECISION,
    ("NetParameter", "default_backward_math"): _PRECISION,
    ("NetParameter", "global_grad_scale"): "it scales gradients for half precision and back again",
    ("NetParameter", "global_grad_scale_adaptive"): "it scales gradients for half precision and back again",
    ("SolverParameter", "solver_data_type"): _PRECISION,
    ("LayerParameter", "quantization_param"): _INT8,
    ("NetParameter", "mem_param"): _MEMORY,
    ("NetParameter", "eltwise_mem_sharing"): _MEMORY,
    ("SolverParameter", "richness"): _MEMORY,
    ("LayerParameter", "reshape_every_iter"): "netdef reshapes a layer whenever its bottoms change, and only then",
    ("DataParameter", "threads"): _THREADS,
    ("DataParameter", "parser_threads"): _THREADS,
    ("DataParameter", "disk_reader_threads"): _THREADS,
    ("DataParameter", "cache"): _THREADS,
    ("DataParameter", "precache"): _THREADS,
    ("ImageDataParameter", "threads"): _THREADS,
    ("ImageDataParameter", "cache"): _THREADS,
    ("ImageDataParameter", "precache"): _THREADS,
    ("TransformationParameter", "use_gpu_transform"): _PLACEMENT,
    ("NetParameter", "reduce_buckets"): _PLACEMENT,
    ("NetParameter", "multinode"): _PLACEMENT,
    ("LayerParameter", "multinode"): _PLACEMENT,
    ("SolverParameter", "group_id"): _PLACEMENT,
    ("LayerParameter", "debug"): _SHOWS,
    ("LayerParameter", "visualise"): _SHOWS,
    ("DataParameter", "verbose"): _SHOWS,
    ("TransformationParameter", "display"): _SHOWS,
    ("TransformationParameter", "debug_params"): _SHOWS,
    ("SolverParameter", "show_per_class_result"): _SHOWS,
    ("SolverParameter", "store_blobs_in_old_format"): "netdef writes the snapshot format that Caffe reads",
}

# (message, field) of a field that changes what is learnt, and nothing of what a trained net computes
TRAINING: dict[tuple[str, str], str] = {
    ("ParamSpec", "kernel_shape_decay_mult"): _PULLS,
    ("ParamSpec", "breadth_decay_mult"): _PULLS,
    ("ParamSpec", "block_group_lasso"): _PULLS,
    ("ParamSpec", "force_mult"): _PULLS,
    ("ParamSpec", "force_direction"): _PULLS,
    ("ParamSpec", "decay_proto"): _PULLS,
    ("ParamSpec", "regularization_type"): _PULLS,
    (
        "LayerParameter",
        "connectivity_mode",
    ): "it keeps weights of 0 at 0 while others learn; they are what they are in a trained net",
    (
        "NetParameter",
        "bn_stats_batch_size",
    ): "it takes the statistics of parts of a batch in training; a trained net has its own",
    ("DataParameter", "shuffle_buffer_size"): "it draws another order for training; each item stays the same",
}

# values that the enum of a field named so does not have
VALUES: dict[tuple[str, str], str] = {
    ("engine", name): _LIBRARY for name in ("CAFFE", "CUDNN", "INTEL", "MKL2017", "MKLDNN", "DEFAULT", "3", "4", "5")
}

# (message, field) of a singular field that another build takes a list for
LISTS: dict[tuple[str, str], str] = {
    ("SolverParameter", "device_id"): _PLACEMENT,
}


def unknown_field(message: str, field: str) -> str | None:
    """Why a field that the schema lacks may be ignored; None where it may not."""
    return FIELDS.get((message, field)) or FIELDS.get(("*", field))


def training_field(message: str, field: str) -> str | None:
    """What a field that the schema lacks changes in training alone; None where it is none of those."""
    return TRAINING.get((message, field))


def unknown_value(field: str, value: str) -> str | None:
    """Why an enum value that the schema lacks may be ignored; None where it may not."""
    return VALUES.get((field, value.strip("\"'")))


def unknown_list(message: str, field: str) -> str | None:
    """Why a list for a singular field may be ignored; None where it may not."""
    return LISTS.get((message, field))
