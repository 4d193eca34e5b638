"""Every call that the Exstream client has, with arguments: by part and name."""

import io
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

from millstream.exstream.model import ResourceState

ID = "5f5c2b5e-7b7e-4b8e-9d53-1a2b3c4d5e6f"
NOW = datetime(2026, 11, 25, 10, tzinfo=UTC)
Calls = dict[str, Callable[[Any], Any]]

RUNTIME: Calls = {
    "jobs": lambda it: it.jobs(
        fetch_deleted=True, statuses=["complete", "error"], channel="statements", start_date_start=date(2026, 11, 1)
    ),
    "flow_instances": lambda it: it.flow_instances(job_id=ID, statuses="holding"),
    "flow_steps": lambda it: it.flow_steps(check_artifacts=True, flow_instance_id=ID, step_types=["communication"]),
    "job": lambda it: it.job(ID),
    "flow_instance": lambda it: it.flow_instance(ID),
    "flow_step": lambda it: it.flow_step(ID),
    "counts": lambda it: it.counts(flow_model_ids=(ID,), start=date(2026, 11, 1), end=date(2026, 11, 2), fill=True),
    "associated_jobs": lambda it: it.associated_jobs(offset=10, count=5, job_id=ID, statuses=["complete"]),
    "message_file": lambda it: it.message_file(ID, io.BytesIO()),
    "delivery_file": lambda it: it.delivery_file(ID, io.BytesIO()),
    "artifact": lambda it: it.artifact(ID, "out/1 a.pdf", io.BytesIO()),
    "customer_artifacts": lambda it: it.customer_artifacts(ID, 7, io.BytesIO()),
    "input": lambda it: it.input(ID, io.BytesIO()),
    "outputs": lambda it: it.outputs(ID),
    "output_files": lambda it: it.output_files(ID),
    "stop_job": lambda it: it.stop_job(ID),
    "reprocess": lambda it: it.reprocess(ID, current_model=True, current_context=True),
    "stop_flow": lambda it: it.stop_flow(ID),
    "release_flow": lambda it: it.release_flow(ID),
    "stop_step": lambda it: it.stop_step(ID),
    "release_step": lambda it: it.release_step(ID),
    "post_sort": lambda it: it.post_sort(
        ID, customers="1-3", queue="Print", external_id="x", consolidate=True, dry_run=True
    ),
}
DESIGN: Calls = {
    "resources": lambda it: it.resources(
        states=ResourceState.REVIEW, types=["exstrdocument", "exstremail"], last_modified_date_start=NOW
    ),
    "review": lambda it: it.review("exstremail"),
    "communications": lambda it: it.communications(),
    "resource": lambda it: it.resource(ID, version=2),
    "set_state": lambda it: it.set_state(ID, ResourceState.APPROVED, "by Ada"),
    "set_states": lambda it: it.set_states([ID], ResourceState.REJECTED, "by Ada"),
    "history": lambda it: it.history(ID),
    "content": lambda it: it.content(ID, io.BytesIO()),
    "domains": lambda it: it.domains(),
    "links": lambda it: it.links(ID),
    "manifest": lambda it: it.manifest(ID),
    "resolve": lambda it: it.resolve("Account statement"),
    "current_user": lambda it: it.current_user(),
    "version": lambda it: it.version(),
}
CLIENT: Calls = {"version": lambda it: it.version(), "config": lambda it: it.config(), "probe": lambda it: it.probe()}
INPUTS: Calls = {
    "generate": lambda it: it.generate(ID, "d", b"{}"),
    "generate_pdf": lambda it: it.generate_pdf(ID, "d", b"{}"),
    "empower_document": lambda it: it.empower_document(ID, "d", b"{}", empower_user="x"),
    "fulfil": lambda it: it.fulfil(ID, "d", ["1"]),
    "batch": lambda it: it.batch("s", b"{}"),
    "on_demand": lambda it: it.on_demand("s", b"{}"),
}
