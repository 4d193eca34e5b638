"""The sandbox against Exstream's own OpenAPI documents: what conforming calls are answered, and what rubbish is."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import schemathesis
from exstream_thread import ACTED_ON, ExstreamThread
from hypothesis import HealthCheck, Phase, given, settings
from interface import USED, load, mended
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
OPERATIONS = [(service, place) for service, places in USED.items() for place in places]
EXAMPLES, RUBBISH_EXAMPLES = 20, 8
FILTERS = {
    "jobs": ("", "statuses:complete,error;mode:BATCH", "channel:statements", "startDateStart:2026-01-01"),
    "flow-instances": ("", "statuses:complete", "flowModelTypes:COMMUNICATION"),
    "flow-steps": ("", "stepTypes:communication,output", "statuses:holding"),
}
CUSTOMER = {
    "customer": {"id": "C-1", "name": "Ada Byron"},
    "recipient": {"address": "ada@mail.example"},
    "data": {
        "customer": {"id": "C-1", "name": "Ada Byron", "address": ["1 High Street", "London"]},
        "account": {"number": "4000 1"},
        "statement": {"number": "1", "date": "2026-10-31", "from": "2026-10-01", "to": "2026-10-31"},
        "currency": "GBP",
        "previous_balance_cents": 100,
        "purchases": [],
        "payments": [],
        "collection_date": "2026-11-15",
    },
}
Known = dict[str, list[str]]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[ExstreamThread]:
    with ExstreamThread() as running:
        yield running


@pytest.fixture(scope="module")
def known(sandbox: ExstreamThread) -> Known:
    """Ids of jobs, flows and steps in every state, by the list they are in; enough of them to act on."""
    done = sandbox.start("statements", [CUSTOMER, CUSTOMER])
    broken = [sandbox.start("broken", [CUSTOMER]) for _ in range(ACTED_ON)]
    held = sandbox.start("held", [CUSTOMER] * 4 * ACTED_ON)
    long = [sandbox.start("long", [CUSTOMER]) for _ in range(ACTED_ON)]
    pause = threading.Event()
    for _ in range(600):
        states = Counter(flow["status"] for flow in sandbox.get("flow-instances?count=1000"))
        if states["holding"] == 4 * ACTED_ON and states["error"] == ACTED_ON and states["complete"] == 1:
            break
        pause.wait(0.05)
    else:
        raise AssertionError(f"the sandbox was not stocked within 30 s: {states}")
    (flow,) = sandbox.get(f"flow-instances?filter=jobId:{done}")
    steps = {step["stepType"]: step["id"] for step in sandbox.get(f"flow-steps?filter=flowInstanceId:{flow['id']}")}
    holds = [step["id"] for step in sandbox.get("flow-steps?filter=statuses:holding&count=1000")]
    held_flows = [one["id"] for one in sandbox.get(f"flow-instances?filter=jobId:{held}&count=1000")]
    return {
        "jobs": [done, *broken],
        "jobs/stop": long,
        "jobs/reprocessing": broken,
        "flow-instances": [flow["id"]],
        "flow-instances/stop": held_flows[:ACTED_ON],
        "flow-instances/release": held_flows[ACTED_ON : 2 * ACTED_ON],
        "flow-steps": [steps["communication"], steps["output"]],
        "flow-steps/stop": holds[2 * ACTED_ON : 3 * ACTED_ON],
        "flow-steps/release": holds[3 * ACTED_ON :],
        "flowModelId": [flow["flowModelId"]],
    }


@pytest.fixture(scope="module")
def schema_of(sandbox: ExstreamThread, known: Known) -> Callable[[str], schemathesis.BaseSchema]:
    """A service's document, in which ids and filters are those that the sandbox has."""
    made: dict[str, schemathesis.BaseSchema] = {}

    def make(service: str) -> schemathesis.BaseSchema:
        if service not in made:
            document = mended(load(service))
            design = _design_ids(sandbox) if service == "design" else {}
            for path, operations in document["paths"].items():
                for operation in operations.values():
                    _narrow(path, operation, known | design)
            _narrow_bodies(document["components"]["schemas"], known | design)
            made[service] = schemathesis.openapi.from_dict(document)
        return made[service]

    return make


def _design_ids(sandbox: ExstreamThread) -> Known:
    url = f"{sandbox.url_of('design')}/api/v1"
    found = sandbox.session.get(f"{url}/resources/bank?count=100", timeout=30).json()["data"]
    sets = [one["id"] for one in found if one["type"] == "exstrcommunicationset"]
    return {"resources": [one["id"] for one in found], "communicationSetId": sets}


def _narrow(path: str, operation: dict[str, Any], known: Known) -> None:
    """Only what exists is asked for: an id that nobody has says nothing about the shape of an answer."""
    action = path.rpartition("/")[2]
    listed = next((name for name in FILTERS if f"/{name}" in path), "resources")
    ids = known.get(f"{listed}/{action}", known.get(listed, []))
    values = {
        "domain": ["bank"],
        "id": ids,
        "resourceId": known.get("resources", []),
        "communicationSetId": known.get("communicationSetId", []),
        "artifactName": ["_STDDELIVERYFILE.xml", "ExstreamMessages.dat"],
        "customerId": ["1", "2"],
        "filter": list(FILTERS.get(listed, ())),
        "version": [1],
    }
    for parameter in operation["parameters"]:
        if parameter["in"] == "path" or parameter["name"] in ("filter", "version"):
            schema = {key: parameter["schema"][key] for key in ("type",) if key in parameter["schema"]}
            parameter["schema"] = schema | {"enum": values[parameter["name"]]}


def _narrow_bodies(schemas: dict[str, Any], known: Known) -> None:
    """States and ids inside bodies; numbers of pages from 0, as everywhere."""
    for name in ("WorkflowRequestBody", "BulkWorkflowRequestBody"):
        if name in schemas:
            schemas[name]["properties"]["state"]["enum"] = ["DRAFT", "REVIEW", "APPROVED", "REJECTED"]
            schemas[name]["required"] = ["state"]
    if "BulkWorkflowRequestBody" in schemas:
        ids = {"type": "array", "items": {"type": "string", "enum": known["resources"]}}
        schemas["BulkWorkflowRequestBody"]["properties"]["resourceIds"] = ids
        schemas["BulkWorkflowRequestBody"]["required"] = ["state", "resourceIds"]
    if "PostSortRunOption" in schemas:
        schemas["PostSortRunOption"]["properties"]["flowModelId"]["enum"] = known["flowModelId"]
    for name in ("FlowInstanceFilterRequest",):
        for number in ("offset", "count"):
            if name in schemas:
                schemas[name]["properties"][number]["minimum"] = 0


def _operation(schema: schemathesis.BaseSchema, place: str) -> Any:
    verb, path = place.split(" ")
    return schema[path][verb.lower()]


def _tried(strategy: Any, examples: int, work: Callable[[Case], None]) -> None:
    """Run a number of generated calls; they come in a fixed order, so that a run can be repeated."""
    setting = settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )

    @setting
    @given(case=strategy)
    def run(case: Case) -> None:
        work(case)

    run()


@pytest.mark.parametrize(("service", "place"), OPERATIONS)
def test_answers_conform_and_some_calls_succeed(
    sandbox: ExstreamThread, schema_of: Callable[[str], schemathesis.BaseSchema], service: str, place: str
) -> None:
    answered: Counter[int] = Counter()

    def call(case: Case) -> None:
        response = case.call(base_url=sandbox.url_of(service), session=sandbox.session)
        answered[response.status_code] += 1
        case.validate_response(response, checks=CHECKS)

    _tried(_operation(schema_of(service), place).as_strategy(), EXAMPLES, call)
    assert any(200 <= status < 300 for status in answered), answered
    assert set(answered) <= {200, 201, 400, 404, 409}


@pytest.mark.parametrize(("service", "place"), OPERATIONS)
def test_calls_that_do_not_conform_are_never_the_servers_fault(
    sandbox: ExstreamThread, service: str, place: str
) -> None:
    schema = schemathesis.openapi.from_dict(mended(load(service)))

    def call(case: Case) -> None:
        response = case.call(base_url=sandbox.url_of(service), session=sandbox.session)
        case.validate_response(response, checks=[not_a_server_error])

    operation = _operation(schema, place)
    can_be_wrong = {one.name for one in (*operation.query.items, *operation.path_parameters.items)} - {"domain"}
    if can_be_wrong or operation.body.items:
        _tried(operation.as_strategy(generation_mode=GenerationMode.NEGATIVE), RUBBISH_EXAMPLES, call)
    _tried(operation.as_strategy(), RUBBISH_EXAMPLES, call)
