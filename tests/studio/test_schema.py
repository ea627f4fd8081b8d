"""Requests that schemathesis makes up from the server's own description get answers that it describes, and no 500."""

import hypothesis
import pytest

from tests.studio.test_limits import done_job
from unweave.studio.store import JobStore

schemathesis = pytest.importorskip("schemathesis")

FORBIDDEN = range(500, 507)  # 507 means that the disk is full, and is described


@pytest.fixture
def described(tmp_path, make_studio):
    store = JobStore(tmp_path / "studio")
    job = done_job(store, seconds=1)
    studio = make_studio()
    schema = schemathesis.openapi.from_url(f"{studio.root}/docs/openapi.json")
    return studio, job, schema


def exercise(operation, studio, job):
    """Send a dozen requests for one operation; returns how many there were."""
    sent = []

    @hypothesis.settings(
        max_examples=12,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(case=operation.as_strategy(), is_known=hypothesis.strategies.booleans())
    def each(case, is_known):
        if is_known and operation.method.upper() == "GET" and "identifier" in (case.path_parameters or {}):
            case.path_parameters["identifier"] = job.id
            if "stem" in case.path_parameters:
                case.path_parameters["stem"] = "vocals"
        answer = case.call(base_url=studio.root)
        sent.append(answer.status_code)
        assert answer.status_code not in FORBIDDEN, (case.as_curl_command(), answer.text)
        if answer.status_code < 400 or answer.headers.get("content-type") == "application/json":
            operation.validate_response(answer)

    each()
    return len(sent)


def test_no_request_that_the_description_allows_gets_a_500(described):
    studio, job, schema = described
    operations = [each.ok() for each in schema.get_all_operations()]
    # Events go on while a job waits; test_api.py reads them.
    n_requests = sum(exercise(each, studio, job) for each in operations if not each.path.endswith("/events"))
    assert n_requests > 60
    assert studio.get("/api/jobs").status_code == 200
    assert not any("Traceback" in line for line in studio.said)
