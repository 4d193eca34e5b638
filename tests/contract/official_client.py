"""Google's own Python client, pointed anywhere, with every reply on the wire held against the discovery document."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import httplib2
from discovery_schemas import DiscoverySchemas, relocated
from google.auth.credentials import Credentials
from google_auth_httplib2 import AuthorizedHttp
from googleapiclient.discovery import Resource, build_from_document
from googleapiclient.errors import HttpError
from googleapiclient.http import HttpRequest

JSON_TYPE = "application/json"
ERROR_KEYS = {"code", "message", "errors", "status"}
DETAIL_KEYS = {"message", "domain", "reason"}
FRONT_END = {400, 404, 411, 413, 502}
"""Errors that Google's front end may answer with a page, before the API sees the call."""
TIMEOUT_SECONDS = 60


class UnlikeGoogle(AssertionError):
    """A reply that Google's own description does not allow."""


class WatchedHttp(httplib2.Http):
    """The wire: refuses error replies that do not have Google's shape."""

    def __init__(self) -> None:
        super().__init__(timeout=TIMEOUT_SECONDS)
        self.redirect_codes = self.redirect_codes - {308}  # a resumable upload's "go on", as in the client's own http

    def request(self, uri: str, *args: Any, **kwargs: Any) -> tuple[httplib2.Response, bytes]:
        response, content = super().request(uri, *args, **kwargs)
        if response.status >= 400 and "/gmail/v1/" in uri:
            _check(error_problems(response.status, content, response.get("content-type", "")), uri)
        return response, content


def error_problems(status: int, content: bytes, content_type: str) -> list[str]:
    """Sentences on what an error reply lacks of Google's shape."""
    if content_type.startswith("text/html") and status in FRONT_END:
        return []
    if not content_type.startswith(JSON_TYPE):
        return [f"an error has the type {content_type!r}"]
    document = json.loads(content)
    error = document.get("error")
    if set(document) != {"error"} or not isinstance(error, dict):
        return [f"an error is one object under 'error', not {content[:120]!r}"]
    problems = []
    if set(error) - {"details"} != ERROR_KEYS:
        problems.append(f"the error has the keys {sorted(error)}")
    if error.get("code") != status:
        problems.append(f"the code {error.get('code')} is not the status {status}")
    problems += [f"a detail is {detail}" for detail in error.get("errors", []) if not set(detail) >= DETAIL_KEYS]
    if not error.get("errors"):
        problems.append("the list of errors is empty")
    return problems


def watched_requests(schemas: DiscoverySchemas, seen: set[str]) -> Callable[..., HttpRequest]:
    """A request builder: the client calls it for each method, alone or inside a batch, and we see the raw reply."""

    def build(http: Any, postproc: Callable[..., Any], uri: str, **rest: Any) -> HttpRequest:
        method = rest["methodId"]

        def checked(response: httplib2.Response, content: bytes | str) -> Any:
            raw = content.encode() if isinstance(content, str) else content
            _check(schemas.problems(method, raw), uri)
            if raw and not response.get("content-type", "").startswith(JSON_TYPE):
                raise UnlikeGoogle(f"{uri} answered with the type {response.get('content-type')!r}")
            seen.add(method)
            return postproc(response, content)

        return HttpRequest(http, checked, uri, **rest)

    return build


def reason_of(error: HttpError) -> str:
    """The reason of a refusal; the client's own `error_details` prefers other details where there are some."""
    return json.loads(error.content)["error"]["errors"][0]["reason"]


@dataclass(frozen=True, slots=True)
class OfficialClient:
    """Builds services of Google's client for one endpoint; `seen` collects the methods whose replies were checked."""

    endpoint: str
    document: Mapping[str, Any]
    schemas: DiscoverySchemas
    seen: set[str]

    def service(self, credentials: Credentials) -> Resource:
        """A Gmail service acting with `credentials`; close it after use."""
        return build_from_document(
            relocated(self.document, self.endpoint),
            http=AuthorizedHttp(credentials, http=WatchedHttp()),
            requestBuilder=watched_requests(self.schemas, self.seen),
        )


def _check(problems: list[str], uri: str) -> None:
    if problems:
        raise UnlikeGoogle(f"{uri}: " + "; ".join(problems))
