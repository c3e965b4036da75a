"""One family of errors, each placed once, where it is nearest the cause."""

import inspect

from netdef import errors
from netdef.errors import LayerError, NetdefError
from netdef.names import nearest


def test_every_error_is_of_the_family():
    kinds = [e for _, e in inspect.getmembers(errors, inspect.isclass)]
    assert len(kinds) > 5
    assert all(issubclass(e, NetdefError) and e.__doc__ for e in kinds)


def test_the_inner_place_wins():
    error = LayerError("want 3, got 2").at("net.prototxt:4:1: layer 'a'").at("solver.prototxt")
    assert str(error) == "net.prototxt:4:1: layer 'a': want 3, got 2"
    assert isinstance(error, LayerError)


def test_the_nearest_name_ignores_case_and_distant_ones():
    known = ["Convolution", "Deconvolution", "Pooling"]
    assert nearest("convolution", known) == "; did you mean 'Convolution'?"
    assert nearest("Poolling", known) == "; did you mean 'Pooling'?"
    assert nearest("Dropout", known) == ""
    assert nearest("x", []) == ""
