"""Nets that segment, find edges, know faces, compare pairs and write captions, made small."""

import numpy as np
from forms.form import Form, c, conv_layer, ip, layer, old_input, shaped_input
from forms.plain import bilinear, conv, deconv, fc, lstm, pool, relu, sigmoid, softmax

# -- FCN, HED -----------------------------------------------------------------------------------------------------

FCN_TEXT = (
    shaped_input(data=(1, 3, 12, 10))
    + conv_layer("conv1_1", "data", 4, 3, "pad: 100")
    + layer("pool1", "Pooling", "conv1_1", "pooling_param { pool: MAX kernel_size: 2 stride: 2 }")
    + layer("pool2", "Pooling", "pool1", "pooling_param { pool: MAX kernel_size: 2 stride: 2 }")
    + conv_layer("score_fr", "pool2", 3, 7, relu_too=False)
    + layer(
        "upscore2",
        "Deconvolution",
        "score_fr",
        "convolution_param { num_output: 3 bias_term: false kernel_size: 4 stride: 2 group: 3 }",
    )
    + conv_layer("score_pool1", "pool1", 3, 1, relu_too=False)
    + layer("score_pool1c", "Crop", "score_pool1 upscore2", "crop_param { axis: 2 offset: 5 }")
    + layer("fuse", "Eltwise", "upscore2 score_pool1c", "eltwise_param { operation: SUM }")
    + layer(
        "upscore8",
        "Deconvolution",
        "fuse",
        "convolution_param { num_output: 3 bias_term: false kernel_size: 4 stride: 2 }",
    )
    + layer("score", "Crop", "upscore8 data", "crop_param { axis: 2 offset: 95 }")
)


def fcn(w, data):
    one = pool(relu(conv(data, *w["conv1_1"], pad=100)), "MAX", 2, 2)
    up = deconv(conv(pool(one, "MAX", 2, 2), *w["score_fr"]), *w["upscore2"], stride=2, group=3)
    beside = conv(one, *w["score_pool1"])[:, :, 5 : 5 + up.shape[2], 5 : 5 + up.shape[3]]
    y = deconv(up + beside, *w["upscore8"], stride=2)
    return {"score": y[:, :, 95 : 95 + data.shape[2], 95 : 95 + data.shape[3]]}


FCN_SHAPES = {
    "conv1_1": c(4, 3),
    "score_fr": c(3, 4, 7),
    "upscore2": ("Deconvolution", []),
    "score_pool1": c(3, 4, 1),
    "upscore8": ("Deconvolution", [(3, 3, 4, 4)]),
}
FCN = Form(FCN_TEXT, FCN_SHAPES, fcn, fixed={"upscore2": lambda: [bilinear(3, 4)]})

HED_TEXT = (
    old_input(1, 3, 10, 12)
    + conv_layer("conv1_1", "data", 4, 3, "pad: 35")
    + conv_layer("score-dsn1", "conv1_1", 1, 1, relu_too=False)
    + layer("crop1", "Crop", "score-dsn1 data", "crop_param { axis: 2 offset: 34 offset: 34 }", top="upscore-dsn1")
    + layer("sigmoid-dsn1", "Sigmoid", "upscore-dsn1")
    + layer("pool1", "Pooling", "conv1_1", "pooling_param { pool: MAX kernel_size: 2 stride: 2 }")
    + conv_layer("score-dsn2", "pool1", 1, 1, relu_too=False)
    + layer("upsample_2", "Deconvolution", "score-dsn2", "convolution_param { kernel_size: 4 stride: 2 num_output: 1 }")
    + layer("crop2", "Crop", "upsample_2 data", "crop_param { axis: 2 offset: 35 offset: 36 }", top="upscore-dsn2")
    + layer("sigmoid-dsn2", "Sigmoid", "upscore-dsn2")
    + layer("concat", "Concat", "upscore-dsn1 upscore-dsn2", "concat_param { concat_dim: 1 }")
    + conv_layer("new-score-weighting", "concat", 1, 1, relu_too=False)
    + layer("sigmoid-fuse", "Sigmoid", "new-score-weighting")
)


def hed(w, data):
    x = relu(conv(data, *w["conv1_1"], pad=35))
    tall, wide = data.shape[2:]
    one = conv(x, *w["score-dsn1"])[:, :, 34 : 34 + tall, 34 : 34 + wide]
    two = deconv(conv(pool(x, "MAX", 2, 2), *w["score-dsn2"]), *w["upsample_2"], stride=2)
    two = two[:, :, 35 : 35 + tall, 36 : 36 + wide]
    fused = conv(np.concatenate([one, two], 1), *w["new-score-weighting"])
    return {f"sigmoid-{n}": sigmoid(x) for n, x in (("dsn1", one), ("dsn2", two), ("fuse", fused))}


HED_SHAPES = {
    "conv1_1": c(4, 3),
    "score-dsn1": c(1, 4, 1),
    "score-dsn2": c(1, 4, 1),
    "upsample_2": ("Deconvolution", [(1, 1, 4, 4), (1,)]),
    "new-score-weighting": c(1, 2, 1),
}
HED = Form(HED_TEXT, HED_SHAPES, hed)

# -- faces, pairs, captions ---------------------------------------------------------------------------------------

FACE_TEXT = (
    shaped_input(data=(2, 3, 8, 6))
    + conv_layer("conv1", "data", 4, 3, "pad: 1", relu_too=False)
    + layer("relu1", "PReLU", "conv1", top="conv1")
    + conv_layer("conv2", "conv1", 4, 3, "pad: 1", relu_too=False)
    + layer("relu2", "PReLU", "conv2", "prelu_param { channel_shared: true }", top="conv2")
    + layer("res", "Eltwise", "conv1 conv2", "eltwise_param { operation: SUM coeff: 1 coeff: -0.5 }")
    + layer("factor", "Scale", "res", "scale_param { axis: 0 num_axes: 0 }")
    + layer("fc5", "InnerProduct", "factor", "inner_product_param { num_output: 5 transpose: true bias_term: false }")
)


def face(w, data):
    x = conv(data, *w["conv1"], pad=1)
    x = relu(x, w["relu1"][0].reshape(-1, 1, 1))
    x = x - 0.5 * relu(conv(x, *w["conv2"], pad=1), w["relu2"][0])
    return {"fc5": fc(w["factor"][0] * x, w["fc5"][0].T)}


FACE_SHAPES = {
    "conv1": c(4, 3),
    "relu1": ("PReLU", [(4,)]),
    "conv2": c(4, 4),
    "relu2": ("PReLU", [()]),
    "factor": ("Scale", [()]),
    "fc5": ("InnerProduct", [(192, 5)]),
}
FACE = Form(FACE_TEXT, FACE_SHAPES, face)

NAMED = 'param { name: "conv1_w" lr_mult: 1 } param { name: "conv1_b" lr_mult: 2 } '
SIAMESE_TEXT = (
    shaped_input(pair_data=(2, 2, 6, 6))
    + 'layer { name: "slice" type: "Slice" bottom: "pair_data" top: "data" top: "data_p" slice_param { slice_dim: 1 '
    + "slice_point: 1 } }\n"
    + layer("conv1", "Convolution", "data", NAMED + "convolution_param { num_output: 3 kernel_size: 3 }")
    + layer("conv1_p", "Convolution", "data_p", NAMED + "convolution_param { num_output: 3 kernel_size: 3 }")
    + 'layer { name: "gain" type: "Parameter" top: "gain" parameter_param { shape { dim: 3 } } }\n'
    + layer("scaled", "Scale", "conv1 gain", "scale_param { axis: 1 }")
    + layer("biased", "Bias", "conv1_p gain", "bias_param { axis: 1 }")
)


def siamese(w, pair_data):
    one, two = (conv(pair_data[:, i : i + 1], *w["conv1"]) for i in range(2))
    gain = w["gain"][0].reshape(-1, 1, 1)
    return {"scaled": one * gain, "biased": two + gain}


SIAMESE = Form(SIAMESE_TEXT, {"conv1": c(3, 1), "conv1_p": c(3, 1), "gain": ("Parameter", [(3,)])}, siamese)

CAPTIONS_TEXT = (
    shaped_input(cont_sentence=(5, 2), input_sentence=(5, 2))
    + layer("embedding", "Embed", "input_sentence", "embed_param { bias_term: false input_dim: 6 num_output: 3 }")
    + layer("lstm1", "LSTM", "embedding cont_sentence", "recurrent_param { num_output: 4 }")
    + layer("predict", "InnerProduct", "lstm1", "inner_product_param { num_output: 6 axis: 2 }")
    + layer("probs", "Softmax", "predict", "softmax_param { axis: 2 }")
)


def captions(w, cont_sentence, input_sentence):
    x = w["embedding"][0][input_sentence.astype(int)]
    h = lstm(x, cont_sentence, *w["lstm1"])
    return {"probs": softmax(h @ w["predict"][0].T + w["predict"][1], 2)}


CAPTIONS = Form(
    CAPTIONS_TEXT,
    {
        "embedding": ("Embed", [(6, 3)]),
        "lstm1": ("LSTM", [(16, 3), (16,), (16, 4)]),
        "predict": ip(6, 4),
    },
    captions,
    drawn={
        "cont_sentence": lambda rng: np.array([[0, 0], [1, 1], [1, 0], [1, 1], [0, 1]]),
        "input_sentence": lambda rng: rng.integers(0, 6, (5, 2)),
    },
)
