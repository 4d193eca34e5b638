"""The web pages of the sandbox: jobs and their steps, held documents, resources in review.

A page only shows; what decides is a POST from the sandbox's own page, which carries a word that no other page can read.
"""

import asyncio
import hmac
import secrets
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from importlib import resources
from typing import Any, Final

from aiohttp import web
from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from millstream.sandbox.exstream import tree
from millstream.sandbox.exstream.engine import Engine
from millstream.sandbox.exstream.errors import BadRequest, Conflict, NotFound
from millstream.sandbox.exstream.jobs import FlowInstance, Job
from millstream.sandbox.exstream.otds import Access
from millstream.sandbox.exstream.resources import MoveRefused, Shelf
from millstream.sandbox.exstream.world import World
from millstream.sandbox.gmail.control_wire import is_from_elsewhere
from millstream.sandbox.gmail.page_rows import Tab, cut
from millstream.sandbox.gmail.pages import DOCUMENT_POLICY, FRAME_POLICY, PAGE_POLICY, VIEWER_POLICY

REVIEWER: Final = "reviewer@exstream.role"
"""As whom a person decides on these pages."""

_DONE: Final = {
    "release": "Released. The flow goes on.",
    "stop": "Stopped. Nothing of the flow leaves.",
    "approve": "Approved.",
    "reject": "Rejected.",
}
_SEE_OTHER: Final = 303
_STYLES: Final = (("millstream.sandbox.gmail", "pages.css"), (__package__, "exstream.css"))
_POLICIES: Final = {"application/pdf": VIEWER_POLICY, "text/html": FRAME_POLICY}

Handler = Callable[[web.Request], Awaitable[web.Response]]


class _Missing(Exception):
    """Nothing here, or not from here."""

    def __init__(self, title: str, sentence: str, *, status: int = 404) -> None:
        super().__init__(sentence)
        self.title = title
        self.sentence = sentence
        self.status = status


class Pages:
    """The handlers, one a page."""

    def __init__(self, world: World, engine: Engine, shelf: Shelf) -> None:
        self._world = world
        self._engine = engine
        self._shelf = shelf
        self._token = secrets.token_urlsafe(24)
        self._style = "".join(
            (resources.files(package) / "templates" / name).read_text("utf-8") for package, name in _STYLES
        )
        loader = ChoiceLoader([PackageLoader("millstream.sandbox.exstream"), PackageLoader("millstream.sandbox.gmail")])
        self._templates = Environment(
            loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
        )
        self._templates.filters.update(moment=_moment, iso=lambda moment: _time(moment).isoformat())

    def routes(self) -> list[web.RouteDef]:
        """Every page."""
        table: list[tuple[str, str, Handler]] = [
            ("GET", "/", self.jobs),
            ("GET", "/static/pages.css", self.style),
            ("GET", "/jobs/{job}", self.job),
            ("GET", "/jobs/{job}/{flow}/{place:.+}", self.document),
            ("GET", "/held", self.held),
            ("POST", "/held/{flow}", self.decide_held),
            ("GET", "/review", self.review),
            ("POST", "/review/{domain}/{id}", self.decide_review),
        ]
        return [web.RouteDef(verb, path, self._or_problem(handler), {}) for verb, path, handler in table]

    def _or_problem(self, handler: Handler) -> Handler:
        async def answer(request: web.Request) -> web.Response:
            try:
                return await handler(request)
            except _Missing as missing:
                context = {"title": missing.title, "sentence": missing.sentence}
                return self._page(request, "missing.html", context, status=missing.status)

        return answer

    # Reading

    async def jobs(self, request: web.Request) -> web.Response:
        """All jobs, the newest first; `?q=` narrows by id, channel and status, `?page=` turns."""
        query = _query(request).lower()
        found = [job for job in reversed(self._world.jobs.values()) if query in _words(job)]
        rows, pages = cut("/", request.query, found)
        return self._page(request, "jobs.html", {"rows": rows, "pages": pages, "views": self._views("/")})

    async def job(self, request: web.Request) -> web.Response:
        """One job: its flow instances with their steps, messages and customers."""
        job = self._world.jobs.get(request.match_info["job"])
        if job is None:
            raise _Missing("No such job", "It may be from before a reset; a sandbox keeps nothing.")
        self._world.is_wiped(job)
        flows, pages = cut(request.path, request.query, job.flows)
        context = {"job": job, "flows": flows, "first": pages.first - 1, "total": len(job.flows), "pages": pages}
        return self._page(request, "job.html", context)

    async def document(self, request: web.Request) -> web.Response:
        """A customer's document; scripts in it do not run."""
        flow = self._flow(request)
        place = request.match_info["place"]
        made = next((one for customer in flow.customers for one in customer.files if one.place == place), None)
        if made is None or self._world.is_wiped(flow.job):
            raise _Missing("No such document", "It was not made, or it is not retained any more.")
        try:
            content = await asyncio.to_thread(tree.content_of, flow, place)
        except FileNotFoundError:
            raise _Missing("No such document", "It is not retained any more.") from None
        charset = "; charset=utf-8" if made.driver == "HTML" else ""
        headers = _safely(_POLICIES.get(made.media_type, DOCUMENT_POLICY)) | {"Content-Type": made.media_type + charset}
        return web.Response(body=content, headers=headers)

    async def held(self, request: web.Request) -> web.Response:
        """Flow instances that wait for their release."""
        rows, pages = cut("/held", request.query, self._all_held())
        context = {"rows": rows, "pages": pages, "views": self._views("/held"), "done": _done(request)}
        return self._page(request, "held.html", context)

    async def review(self, request: web.Request) -> web.Response:
        """Resources that wait for approval."""
        return self._review(request)

    def _review(self, request: web.Request, problem: str = "") -> web.Response:
        rows, pages = cut("/review", request.query, self._shelf.in_review())
        context = {
            "rows": rows,
            "pages": pages,
            "views": self._views("/review"),
            "done": "" if problem else _done(request),
            "problem": problem,
            "approvals": {held.id: self._shelf.approval(held)["approvals"] for held in rows},
        }
        return self._page(request, "review.html", context, status=409 if problem else 200)

    async def style(self, _request: web.Request) -> web.Response:
        """The style sheet: the Gmail sandbox's, and what is ours."""
        return web.Response(text=self._style, content_type="text/css", headers={"Cache-Control": "max-age=60"})

    # Deciding

    async def decide_held(self, request: web.Request) -> web.Response:
        """Release or stop a held flow instance."""
        decision = (await self._form(request)).get("decision")
        flow = self._flow(request)
        try:
            if decision == "release":
                self._engine.release(flow)
            elif decision == "stop":
                self._engine.stop_flow(flow)
            else:
                raise _Missing("Nothing decided", "Choose Release or Stop.", status=400)
        except Conflict as conflict:
            raise _Missing("Too late", conflict.details, status=409) from None
        return web.Response(status=_SEE_OTHER, headers={"Location": f"/held?done={decision}"})

    async def decide_review(self, request: web.Request) -> web.Response:
        """Approve or reject a resource."""
        form = await self._form(request)
        decision = form.get("decision", "")
        state = {"approve": "APPROVED", "reject": "REJECTED"}.get(decision)
        if state is None:
            raise _Missing("Nothing decided", "Choose Approve or Reject.", status=400)
        try:
            held = self._shelf.find(request.match_info["domain"], request.match_info["id"])
            self._shelf.move(held, state, form.get("comment", ""), self._reviewer())
        except NotFound as missing:
            raise _Missing("No such resource", missing.details) from None
        except (MoveRefused, BadRequest) as refused:
            return self._review(request, refused.details)
        return web.Response(status=_SEE_OTHER, headers={"Location": f"/review?done={decision}"})

    def _reviewer(self) -> Access:
        """A person who has every role of every approval group."""
        groups = [group for domain in self._world.config.domains for group in domain.groups]
        roles = tuple(role.role for group in groups for role in group.roles)
        return Access(REVIEWER, frozenset({"APPROVE", "DESIGN"}), roles, float("inf"))

    async def _form(self, request: web.Request) -> dict[str, str]:
        """The fields of a form; raises `_Missing` 403 for one that is not the sandbox's own."""
        given = await request.post()
        fields = {name: value for name, value in given.items() if isinstance(value, str)}
        known = hmac.compare_digest(fields.get("token", "").encode(), self._token.encode())
        if is_from_elsewhere(request) or not known:
            sentence = "The form was not the sandbox's own, or it was from before a restart. Nothing was changed."
            raise _Missing("Not done", sentence, status=403)
        return fields

    # Finding and showing

    def _flow(self, request: web.Request) -> FlowInstance:
        flow = self._world.flow_instances.get(request.match_info["flow"])
        if flow is None or flow.job.id != request.match_info.get("job", flow.job.id):
            raise _Missing("No such flow", "It may be from before a reset; a sandbox keeps nothing.")
        return flow

    def _all_held(self) -> list[FlowInstance]:
        return [flow for flow in self._world.flow_instances.values() if flow.held is not None]

    def _views(self, current: str) -> list[Tab]:
        counts = {
            "/": ("Jobs", len(self._world.jobs)),
            "/held": ("Held documents", len(self._all_held())),
            "/review": ("In review", len(self._shelf.in_review())),
        }
        return [Tab(name, path, path == current, count) for path, (name, count) in counts.items()]

    def _page(
        self, request: web.Request, template: str, context: Mapping[str, Any], *, status: int = 200
    ) -> web.Response:
        words = {"query": _query(request), "now": self._world.clock.seconds(), "token": self._token}
        text = self._templates.get_template(template).render(words | dict(context))
        # Under no-referrer a browser hides from the sandbox itself that a form came from its own page.
        headers = _safely(PAGE_POLICY) | {"Referrer-Policy": "same-origin"}
        return web.Response(text=text, content_type="text/html", status=status, headers=headers)


def _query(request: web.Request) -> str:
    return request.query.get("q", "").strip()


def _done(request: web.Request) -> str:
    return _DONE.get(request.query.get("done", ""), "")


def _words(job: Job) -> str:
    return f"{job.id}\n{job.model.service}\n{job.model.name}\n{job.status}".lower()


def _time(moment: float) -> datetime:
    return datetime.fromtimestamp(moment, UTC)


def _moment(moment: float) -> str:
    return f"{_time(moment):%d %b %Y, %H:%M}"


def _safely(policy: str) -> dict[str, str]:
    return {
        "Content-Security-Policy": policy,
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-store",
    }
