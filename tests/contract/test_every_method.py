"""No method of the sandbox goes unchecked: each is called, and held against its entry in the discovery document."""

import re
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from discovery_schemas import load_document
from letters import letter, raw_field, token, upload

from millstream.sandbox.gmail import drafts, labels, mailbox, messages, threads, watch

SERVED = {
    method.name: method
    for method in (
        *drafts.METHODS,
        *messages.METHODS,
        *threads.METHODS,
        *labels.METHODS,
        *mailbox.METHODS,
        *watch.METHODS,
    )
}
PREFIX = "https://www.googleapis.com/auth/"
EVERYTHING = ("https://mail.google.com/", f"{PREFIX}gmail.settings.basic", f"{PREFIX}gmail.settings.sharing")
ADDRESS = "service@bank.example"


class Desk:
    """A mailbox with one of everything, made as it is asked for."""

    def __init__(self, users: Any, content: Callable[[], bytes]) -> None:
        self.users = users
        self.content = content

    def draft(self) -> str:
        return self.users.drafts().create(userId="me", body={"message": raw_field(self.content())}).execute()["id"]

    def message(self) -> dict[str, Any]:
        return self.users.messages().send(userId="me", body=raw_field(self.content())).execute()

    def label(self) -> str:
        return self.users.labels().create(userId="me", body={"name": token()}).execute()["id"]

    def alias(self) -> str:
        alias = {"sendAsEmail": f"{token()}@bank.example", "displayName": "Service", "treatAsAlias": True}
        return self.users.settings().sendAs().create(userId="me", body=alias).execute()["sendAsEmail"]

    def attachment(self) -> dict[str, str]:
        content = b"\r\n".join(
            (
                self.content().partition(b"\r\n\r\n")[0].replace(b"text/plain", b"application/pdf"),
                b"Content-Disposition: attachment; filename=a.pdf",
                b"",
                b"%PDF",
            )
        )
        sent = self.users.messages().send(userId="me", body=raw_field(content)).execute()
        part = self.users.messages().get(userId="me", id=sent["id"]).execute()["payload"]
        return {"messageId": sent["id"], "id": part["body"]["attachmentId"]}


ADD, SHOWN = {"addLabelIds": ["STARRED"]}, {"labelListVisibility": "labelHide", "messageListVisibility": "hide"}
CALLS: dict[str, Callable[[Desk], Any]] = {
    "drafts.create": lambda d: d.users.drafts().create(userId="me", media_body=upload(d.content())),
    "drafts.update": lambda d: d.users.drafts().update(userId="me", id=d.draft(), media_body=upload(d.content())),
    "drafts.get": lambda d: d.users.drafts().get(userId="me", id=d.draft()),
    "drafts.list": lambda d: d.draft() and d.users.drafts().list(userId="me"),
    "drafts.send": lambda d: d.users.drafts().send(userId="me", body={"id": d.draft()}),
    "drafts.delete": lambda d: d.users.drafts().delete(userId="me", id=d.draft()),
    "messages.send": lambda d: d.users.messages().send(userId="me", media_body=upload(d.content())),
    "messages.insert": lambda d: d.users.messages().insert(userId="me", media_body=upload(d.content())),
    "messages.import": lambda d: d.users.messages().import_(userId="me", media_body=upload(d.content())),
    "messages.get": lambda d: d.users.messages().get(userId="me", id=d.message()["id"]),
    "messages.list": lambda d: d.message() and d.users.messages().list(userId="me"),
    "messages.modify": lambda d: d.users.messages().modify(userId="me", id=d.message()["id"], body=ADD),
    "messages.trash": lambda d: d.users.messages().trash(userId="me", id=d.message()["id"]),
    "messages.untrash": lambda d: d.users.messages().untrash(userId="me", id=d.message()["id"]),
    "messages.delete": lambda d: d.users.messages().delete(userId="me", id=d.message()["id"]),
    "messages.batchModify": lambda d: d.users.messages().batchModify(
        userId="me", body={"ids": [d.message()["id"]]} | ADD
    ),
    "messages.batchDelete": lambda d: d.users.messages().batchDelete(userId="me", body={"ids": [d.message()["id"]]}),
    "messages.attachments.get": lambda d: d.users.messages().attachments().get(userId="me", **d.attachment()),
    "threads.get": lambda d: d.users.threads().get(userId="me", id=d.message()["threadId"]),
    "threads.list": lambda d: d.message() and d.users.threads().list(userId="me"),
    "threads.modify": lambda d: d.users.threads().modify(userId="me", id=d.message()["threadId"], body=ADD),
    "threads.trash": lambda d: d.users.threads().trash(userId="me", id=d.message()["threadId"]),
    "threads.untrash": lambda d: d.users.threads().untrash(userId="me", id=d.message()["threadId"]),
    "threads.delete": lambda d: d.users.threads().delete(userId="me", id=d.message()["threadId"]),
    "labels.list": lambda d: d.users.labels().list(userId="me"),
    "labels.get": lambda d: d.users.labels().get(userId="me", id=d.label()),
    "labels.create": lambda d: d.users.labels().create(userId="me", body={"name": token()} | SHOWN),
    "labels.update": lambda d: d.users.labels().update(userId="me", id=d.label(), body={"name": token()} | SHOWN),
    "labels.patch": lambda d: d.users.labels().patch(userId="me", id=d.label(), body=SHOWN),
    "labels.delete": lambda d: d.users.labels().delete(userId="me", id=d.label()),
    "getProfile": lambda d: d.users.getProfile(userId="me"),
    "watch": lambda d: d.users.watch(userId="me", body={"topicName": "projects/millstream/topics/gmail"}),
    "stop": lambda d: d.users.stop(userId="me"),
    "history.list": lambda d: d.users.history().list(userId="me", startHistoryId=_before_a_letter(d)),
    "settings.sendAs.list": lambda d: d.alias() and d.users.settings().sendAs().list(userId="me"),
    "settings.sendAs.get": lambda d: d.users.settings().sendAs().get(userId="me", sendAsEmail=d.alias()),
    "settings.sendAs.create": lambda d: (
        d.users.settings().sendAs().create(userId="me", body={"sendAsEmail": f"{token()}@bank.example"})
    ),
    "settings.sendAs.update": lambda d: (
        d.users.settings().sendAs().update(userId="me", sendAsEmail=d.alias(), body={"displayName": "Desk"})
    ),
    "settings.sendAs.patch": lambda d: (
        d.users.settings().sendAs().patch(userId="me", sendAsEmail=d.alias(), body={"replyToAddress": ADDRESS})
    ),
    "settings.sendAs.delete": lambda d: d.users.settings().sendAs().delete(userId="me", sendAsEmail=d.alias()),
    "settings.sendAs.verify": lambda d: d.users.settings().sendAs().verify(userId="me", sendAsEmail=d.alias()),
}


def _before_a_letter(desk: Desk) -> str:
    start = desk.users.getProfile(userId="me").execute()["historyId"]
    desk.message()
    return start


def _described(name: str) -> dict[str, Any]:
    """A method of the discovery document, by its name below `gmail.users.`."""
    *resources, method = name.split(".")
    place = load_document()["resources"]["users"]
    for resource in resources:
        place = place["resources"][resource]
    return place["methods"][method]


def _unnamed(path: str) -> str:
    return re.sub(r"\{\+?\w+\}", "{}", path)


def _shortened(scopes: Iterable[str]) -> set[str]:
    """Scopes without their prefix; those of add-ons inside Gmail's own window are left aside."""
    return {scope.removeprefix(PREFIX) for scope in scopes if "addons." not in scope}


def test_every_served_method_has_its_call_here():
    assert set(CALLS) == set(SERVED)


@pytest.mark.sandbox_only
@pytest.mark.parametrize("name", SERVED)
def test_a_reply_of_each_method_is_as_google_describes_it(open_service, contract, sender, recipient, name):
    service = open_service(contract.service_account(sender, EVERYTHING))
    desk = Desk(service.users(), lambda: letter(sender, recipient, token()))
    CALLS[name](desk).execute()
    assert f"gmail.users.{name}" in contract.client.seen


@pytest.mark.parametrize("name", SERVED)
def test_each_method_has_googles_verb_path_uploads_and_scopes(name):
    served, described = SERVED[name], _described(name)
    assert served.verb == described["httpMethod"]
    assert _unnamed(f"gmail/v1/users/{{userId}}/{served.path}") == _unnamed(described["path"])
    assert served.uploads == described.get("supportsMediaUpload", False)
    assert _shortened(served.scopes) == _shortened(described["scopes"])
