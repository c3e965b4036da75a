"""python -m netdef.pycaffe SCRIPT: scripts that begin with `import caffe` run as they are."""

import subprocess
import sys

SCRIPT = """import caffe
import sys
import numpy as np
from caffe.proto import caffe_pb2
import caffe.proto.caffe_pb2 as again
import caffe.draw, caffe.classifier, caffe.detector
from caffe.coord_map import crop
from caffe.pycaffe import Net
from google.protobuf import text_format
import beside

caffe.set_mode_cpu()
net = caffe.Net('net.prototxt', caffe.TEST)
net.blobs['data'].data[...] = np.ones((4, 3))
out = net.forward()
param = caffe_pb2.NetParameter()
text_format.Merge(open('net.prototxt').read(), param)
solver = caffe_pb2.SolverParameter()
solver.base_lr = 0.01
assert again.NetParameter is caffe_pb2.NetParameter
assert caffe_pb2.TEST == caffe.TEST == caffe_pb2.Phase.Value("TEST")
assert __name__ == '__main__'
print(sys.argv, out['ip2'].shape, param.layer[1].type, len(caffe_pb2.BlobProto().data), beside.HERE)
"""


def run(*arguments, **settings):
    command = [sys.executable, "-m", "netdef.pycaffe", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, **settings)


def test_a_script_with_its_arguments_and_its_neighbours(folder):
    (folder / "scripts").mkdir()
    (folder / "scripts/run.py").write_text(SCRIPT)
    (folder / "scripts/beside.py").write_text("HERE = 'found'")
    done = run("scripts/run.py", "--flag", "x", cwd=folder)
    assert done.stderr == ""
    assert done.stdout == "['scripts/run.py', '--flag', 'x'] (4, 2) InnerProduct 0 found\n"
    assert done.returncode == 0


def test_an_error_of_netdefs_is_one_line_and_an_exit_is_passed_on(folder):
    (folder / "bad.py").write_text("import caffe\ncaffe.Net('none.prototxt', caffe.TEST)")
    done = run("bad.py", cwd=folder)
    assert done.returncode == 1
    assert done.stderr.startswith("netdef: error: none.prototxt")
    assert len(done.stderr.splitlines()) == 1
    (folder / "exit.py").write_text("import caffe, sys\nsys.exit(7)")
    assert run("exit.py", cwd=folder).returncode == 7


def test_a_script_that_is_not_there(folder):
    done = run("none.py", cwd=folder)
    assert (done.returncode, done.stderr) == (1, "netdef: error: no script none.py\n")
