"""netdef: networks declared in Caffe's prototxt, run, trained and exported; every layer type is a plugin."""

__version__ = "0.1.0"
