"""caffe.proto, where scripts look for caffe_pb2."""

from netdef.pycaffe.proto import caffe_pb2

__all__ = ["caffe_pb2"]
