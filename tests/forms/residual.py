"""ResNet and MobileNet, made small, and their statistics in each way that files hold them."""

import numpy as np
from forms.form import Form, c, conv_layer, ip, layer, old_input
from forms.plain import batch_norm, conv, fc, pool, relu, scale, softmax

# -- ResNet, MobileNet --------------------------------------------------------------------------------------------


def normalized(name, bottom, options="use_global_stats: true"):
    return layer(f"bn{name}", "BatchNorm", bottom, f"batch_norm_param {{ {options} }}", top=bottom) + layer(
        f"scale{name}", "Scale", bottom, "scale_param { bias_term: true }", top=bottom
    )


def statistics(channels, factor):
    def made():
        rng = np.random.default_rng(channels)
        part = factor or 1
        mean, variance = rng.standard_normal(channels), rng.uniform(0.5, 2, channels)
        return [mean * part, variance * part, np.array([factor])]

    return made


BN = "BatchNorm", []
RESNET_TEXT = (
    'name: "ResNet"\n'
    + old_input(2, 3, 9, 9)
    + conv_layer("conv1", "data", 4, 3, "pad: 1 stride: 2 bias_term: false", relu_too=False)
    + normalized("1", "conv1")
    + layer("conv1_relu", "ReLU", "conv1", top="conv1")
    + layer("pool1", "Pooling", "conv1", "pooling_param { kernel_size: 3 stride: 2 pool: MAX }")
    + conv_layer("res2a_branch1", "pool1", 4, 1, "bias_term: false", relu_too=False)
    + normalized("2a_branch1", "res2a_branch1")
    + conv_layer("res2a_branch2a", "pool1", 4, 3, "pad: 1", relu_too=False)
    + normalized("2a_branch2a", "res2a_branch2a", "use_global_stats: true eps: 0.001")
    + layer("res2a", "Eltwise", "res2a_branch1 res2a_branch2a")
    + layer("res2a_relu", "ReLU", "res2a", top="res2a")
    + layer("pool5", "Pooling", "res2a", "pooling_param { kernel_size: 2 stride: 1 pool: AVE }")
    + layer("fc1000", "InnerProduct", "pool5", "inner_product_param { num_output: 5 }")
    + layer("prob", "Softmax", "fc1000")
)


def resnet(w, data):
    def bn(name, x, eps=1e-5):
        return scale(batch_norm(x, *w[f"bn{name}"], eps=eps), *w[f"scale{name}"])

    x = pool(relu(bn("1", conv(data, *w["conv1"], pad=1, stride=2))), "MAX", 3, 2)
    one = bn("2a_branch1", conv(x, *w["res2a_branch1"]))
    two = bn("2a_branch2a", conv(x, *w["res2a_branch2a"], pad=1), eps=1e-3)
    return {"prob": softmax(fc(pool(relu(one + two), "AVE", 2), *w["fc1000"]))}


RESNET_SHAPES = {
    "conv1": c(4, 3, bias=False),
    "bn1": BN,
    "scale1": ("Scale", [(4,), (4,)]),
    "res2a_branch1": c(4, 4, 1, bias=False),
    "bn2a_branch1": BN,
    "scale2a_branch1": ("Scale", [(4,), (4,)]),
    "res2a_branch2a": c(4, 4),
    "bn2a_branch2a": BN,
    "scale2a_branch2a": ("Scale", [(4,), (4,)]),
    "fc1000": ip(5, 4),
}
RESNET = Form(
    RESNET_TEXT,
    RESNET_SHAPES,
    resnet,
    fixed={
        "bn1": statistics(4, 999.98),
        "bn2a_branch1": statistics(4, 1.0),
        "bn2a_branch2a": statistics(4, 0.0),
    },
)

MOBILENET_TEXT = (
    'name: "MOBILENET"\n'
    + old_input(1, 3, 10, 10)
    + conv_layer("conv1", "data", 4, 3, "bias_term: false pad: 1 stride: 2", relu_too=False)
    + normalized("1", "conv1", "use_global_stats: true eps: 1e-5")
    + layer("relu1", "ReLU", "conv1", top="conv1")
    + conv_layer("conv2_1/dw", "conv1", 4, 3, "bias_term: false pad: 1 group: 4 engine: CAFFE", relu_too=False)
    + normalized("2", "conv2_1/dw", "use_global_stats: true eps: 1e-5")
    + layer("relu2", "ReLU", "conv2_1/dw", top="conv2_1/dw")
    + layer("pool6", "Pooling", "conv2_1/dw", "pooling_param { pool: AVE global_pooling: true }")
    + conv_layer("fc7", "pool6", 5, 1, relu_too=False)
    + layer("prob", "Softmax", "fc7")
)


def mobilenet(w, data):
    x = conv(data, *w["conv1"], pad=1, stride=2)
    x = relu(scale(batch_norm(x, *w["bn1"]), *w["scale1"]))
    x = conv(x, *w["conv2_1/dw"], pad=1, group=4)
    x = relu(scale(batch_norm(x, *w["bn2"]), *w["scale2"]))
    return {"prob": softmax(conv(x.mean((2, 3), keepdims=True), *w["fc7"]))}


MOBILENET_SHAPES = {
    "conv1": c(4, 3, bias=False),
    "bn1": BN,
    "scale1": ("Scale", [(4,), (4,)]),
    "conv2_1/dw": c(4, 1, bias=False),
    "bn2": BN,
    "scale2": ("Scale", [(4,), (4,)]),
    "fc7": c(5, 4, 1),
}
MOBILENET = Form(
    MOBILENET_TEXT, MOBILENET_SHAPES, mobilenet, fixed={"bn1": statistics(4, 1.0), "bn2": statistics(4, 1.0)}
)
