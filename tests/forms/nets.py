"""Nets as people published them, made small: text, the arrays of their weights, and what they compute."""

from forms.early import CAFFENET, GOOGLENET, IMAGENET, SQUEEZENET, VGG
from forms.others import CAPTIONS, FACE, FCN, HED, SIAMESE
from forms.residual import MOBILENET, RESNET

FORMS = {
    "VGG": VGG,
    "CaffeNet": CAFFENET,
    "CaffeNet of V0": IMAGENET,
    "GoogLeNet": GOOGLENET,
    "SqueezeNet": SQUEEZENET,
    "ResNet": RESNET,
    "MobileNet": MOBILENET,
    "FCN": FCN,
    "HED": HED,
    "face": FACE,
    "siamese": SIAMESE,
    "captions": CAPTIONS,
}
