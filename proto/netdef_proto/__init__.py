"""The protobuf schema of nets, solvers and snapshots, wire-compatible with BVLC Caffe's."""
