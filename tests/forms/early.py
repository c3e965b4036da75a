"""VGG, CaffeNet of three ages, GoogLeNet and SqueezeNet, made small."""

import numpy as np
from forms.form import Form, c, conv_layer, ip, layer, old_input, v0, v1
from forms.plain import conv, fc, lrn, pool, relu, softmax

# -- VGG ----------------------------------------------------------------------------------------------------------

VGG_TEXT = (
    'name: "VGG"\n'
    + old_input(2, 3, 8, 8)
    + v1("conv1_1", "CONVOLUTION", "data", "convolution_param { num_output: 4 pad: 1 kernel_size: 3 }")
    + v1("relu1_1", "RELU", "conv1_1", top="conv1_1")
    + v1("pool1", "POOLING", "conv1_1", "pooling_param { pool: MAX kernel_size: 2 stride: 2 }")
    + v1("fc6", "INNER_PRODUCT", "pool1", "inner_product_param { num_output: 6 }")
    + v1("relu6", "RELU", "fc6", top="fc6")
    + v1("drop6", "DROPOUT", "fc6", "dropout_param { dropout_ratio: 0.5 }", top="fc6")
    + v1("fc8", "INNER_PRODUCT", "fc6", "inner_product_param { num_output: 5 }")
    + v1("prob", "SOFTMAX", "fc8")
)


def vgg(w, data):
    x = pool(relu(conv(data, *w["conv1_1"], pad=1)), "MAX", 2, 2)
    return {"prob": softmax(fc(relu(fc(x, *w["fc6"])), *w["fc8"]))}


VGG = Form(VGG_TEXT, {"conv1_1": c(4, 3), "fc6": ip(6, 64), "fc8": ip(5, 6)}, vgg, age="v1")

# -- CaffeNet, the ages of AlexNet ---------------------------------------------------------------------------------

LRN = "lrn_param { local_size: 5 alpha: 0.5 beta: 0.75 }"
CAFFENET_TEXT = (
    'name: "CaffeNet"\n'
    + 'layer { name: "data" type: "Input" top: "data" input_param { shape: { dim: 2 dim: 3 dim: 14 dim: 14 } } }\n'
    + layer("conv1", "Convolution", "data", "convolution_param { num_output: 4 kernel_size: 3 stride: 2 }")
    + layer("relu1", "ReLU", "conv1", top="conv1")
    + layer("pool1", "Pooling", "conv1", "pooling_param { pool: MAX kernel_size: 3 stride: 2 }")
    + layer("norm1", "LRN", "pool1", LRN)
    + layer("conv2", "Convolution", "norm1", "convolution_param { num_output: 6 pad: 1 kernel_size: 3 group: 2 }")
    + layer("relu2", "ReLU", "conv2", top="conv2")
    + layer("fc6", "InnerProduct", "conv2", "inner_product_param { num_output: 7 }")
    + layer("relu6", "ReLU", "fc6", top="fc6")
    + layer("drop6", "Dropout", "fc6", "dropout_param { dropout_ratio: 0.5 }", top="fc6")
    + layer("fc8", "InnerProduct", "fc6", "inner_product_param { num_output: 5 }")
    + layer("prob", "Softmax", "fc8")
)
CAFFENET_SHAPES = {"conv1": c(4, 3), "conv2": c(6, 2), "fc6": ip(7, 54), "fc8": ip(5, 7)}


def caffenet(w, data):
    x = lrn(pool(relu(conv(data, *w["conv1"], stride=2)), "MAX", 3, 2), alpha=0.5)
    x = relu(conv(x, *w["conv2"], pad=1, group=2))
    return {"prob": softmax(fc(relu(fc(x, *w["fc6"])), *w["fc8"]))}


CAFFENET = Form(CAFFENET_TEXT, CAFFENET_SHAPES, caffenet, age="v1")


IMAGENET_TEXT = (
    'name: "CaffeNet"\n'
    + old_input(2, 3, 14, 14)
    + v0("conv1", "conv", "data", "num_output: 4 kernelsize: 3 stride: 2")
    + v0("relu1", "relu", "conv1", top="conv1")
    + v0("pool1", "pool", "conv1", "pool: MAX kernelsize: 3 stride: 2")
    + v0("norm1", "lrn", "pool1", "local_size: 5 alpha: 0.5 beta: 0.75")
    + v0("pad2", "padding", "norm1", "pad: 1")
    + v0("conv2", "conv", "pad2", "num_output: 6 group: 2 kernelsize: 3")
    + v0("relu2", "relu", "conv2", top="conv2")
    + v0("fc6", "innerproduct", "conv2", "num_output: 7")
    + v0("relu6", "relu", "fc6", top="fc6")
    + v0("drop6", "dropout", "fc6", "dropout_ratio: 0.5", top="fc6")
    + v0("fc8", "innerproduct", "fc6", "num_output: 5")
    + v0("prob", "softmax", "fc8")
)
IMAGENET = Form(IMAGENET_TEXT, {**CAFFENET_SHAPES, "pad2": ("Padding", [])}, caffenet, age="v0")

# -- GoogLeNet, SqueezeNet ----------------------------------------------------------------------------------------


AUXILIARY = "exclude { phase: TEST } "
GOOGLENET_TEXT = (
    'name: "GoogleNet"\n'
    + 'layer { name: "data" type: "Input" top: "data" input_param { shape: { dim: 1 dim: 3 dim: 16 dim: 16 } } }\n'
    + conv_layer("conv1/7x7_s2", "data", 4, 7, "pad: 3 stride: 2")
    + layer("pool1/3x3_s2", "Pooling", "conv1/7x7_s2", "pooling_param { pool: MAX kernel_size: 3 stride: 2 }")
    + layer("pool1/norm1", "LRN", "pool1/3x3_s2", LRN)
    + conv_layer("i/1x1", "pool1/norm1", 2)
    + conv_layer("i/3x3", "pool1/norm1", 3, 3, "pad: 1")
    + layer("i/pool", "Pooling", "pool1/norm1", "pooling_param { pool: MAX kernel_size: 3 stride: 1 pad: 1 }")
    + conv_layer("i/pool_proj", "i/pool", 2)
    + layer("i/output", "Concat", "i/1x1 i/3x3 i/pool_proj")
    + layer("loss1/classifier", "InnerProduct", "i/output", AUXILIARY + "inner_product_param { num_output: 3 }")
    + layer("pool5", "Pooling", "i/output", "pooling_param { pool: AVE kernel_size: 4 stride: 1 }")
    + layer("loss3/classifier", "InnerProduct", "pool5", "inner_product_param { num_output: 3 }")
    + layer("prob", "Softmax", "loss3/classifier")
)


def googlenet(w, data):
    x = lrn(pool(relu(conv(data, *w["conv1/7x7_s2"], pad=3, stride=2)), "MAX", 3, 2), alpha=0.5)
    one, three = relu(conv(x, *w["i/1x1"])), relu(conv(x, *w["i/3x3"], pad=1))
    pooled = relu(conv(pool(x, "MAX", 3, 1, 1), *w["i/pool_proj"]))
    x = pool(np.concatenate([one, three, pooled], 1), "AVE", 4)
    return {"prob": softmax(fc(x, *w["loss3/classifier"]))}


GOOGLENET_SHAPES = {
    "conv1/7x7_s2": c(4, 3, 7),
    "i/1x1": c(2, 4, 1),
    "i/3x3": c(3, 4),
    "i/pool_proj": c(2, 4, 1),
    "loss1/classifier": ip(3, 112),
    "loss3/classifier": ip(3, 7),
}
GOOGLENET = Form(GOOGLENET_TEXT, GOOGLENET_SHAPES, googlenet)

SQUEEZENET_TEXT = (
    old_input(2, 3, 11, 11)
    + conv_layer("conv1", "data", 4, 3, "stride: 2")
    + layer("pool1", "Pooling", "conv1", "pooling_param { pool: MAX kernel_size: 3 stride: 2 }")
    + conv_layer("fire2/squeeze1x1", "pool1", 2)
    + conv_layer("fire2/expand1x1", "fire2/squeeze1x1", 3)
    + conv_layer("fire2/expand3x3", "fire2/squeeze1x1", 3, 3, "pad: 1")
    + layer("fire2/concat", "Concat", "fire2/expand1x1 fire2/expand3x3", "concat_param { axis: 1 }")
    + layer("drop9", "Dropout", "fire2/concat", "dropout_param { dropout_ratio: 0.5 }", top="fire2/concat")
    + conv_layer("conv10", "fire2/concat", 5)
    + layer("pool10", "Pooling", "conv10", "pooling_param { pool: AVE global_pooling: true }")
    + layer("prob", "Softmax", "pool10", "softmax_param { axis: 1 }")
)


def squeezenet(w, data):
    x = pool(relu(conv(data, *w["conv1"], stride=2)), "MAX", 3, 2)
    x = relu(conv(x, *w["fire2/squeeze1x1"]))
    wide = relu(conv(x, *w["fire2/expand1x1"])), relu(conv(x, *w["fire2/expand3x3"], pad=1))
    x = relu(conv(np.concatenate(wide, 1), *w["conv10"]))
    return {"prob": softmax(x.mean((2, 3), keepdims=True))}


SQUEEZENET_SHAPES = {
    "conv1": c(4, 3),
    "fire2/squeeze1x1": c(2, 4, 1),
    "fire2/expand1x1": c(3, 2, 1),
    "fire2/expand3x3": c(3, 2),
    "conv10": c(5, 6, 1),
}
SQUEEZENET = Form(SQUEEZENET_TEXT, SQUEEZENET_SHAPES, squeezenet)
