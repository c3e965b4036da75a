"""Each diagnosis on a run that has the disease, and none on runs that are well."""

import pytest
from report.staged import DISEASES, HEALTHY, record

from netdef.report.diagnosis import diagnose


@pytest.mark.parametrize("stage", DISEASES, ids=lambda stage: stage.__name__)
def test_a_disease_is_named(stage, tmp_path):
    found = diagnose(record(stage(tmp_path)))
    assert DISEASES[stage] in [finding.name for finding in found], [str(f) for f in found]
    for finding in found:
        assert finding.seen and finding.tries and "; try " in str(finding)


@pytest.mark.parametrize("name", HEALTHY)
def test_a_healthy_run_raises_no_alarm(name, tmp_path):
    assert [str(finding) for finding in diagnose(record(HEALTHY[name](tmp_path)))] == []
