"""Threads, labels, send-as addresses, the profile and the history through Google's own client."""

import pytest
from googleapiclient.errors import HttpError
from letters import header, letter, raw_field, token
from official_client import reason_of


def send(service, content, **fields):
    return service.users().messages().send(userId="me", body=fields | raw_field(content)).execute()


def test_the_profile_names_the_mailbox_and_counts_it(gmail_service, sender, recipient):
    before = gmail_service.users().getProfile(userId="me").execute()
    send(gmail_service, letter(sender, recipient, token()))
    after = gmail_service.users().getProfile(userId=sender).execute()
    assert after["emailAddress"] == sender
    assert int(after["historyId"]) > int(before["historyId"])
    assert after["messagesTotal"] > before["messagesTotal"]
    assert after["threadsTotal"] > before["threadsTotal"]


def test_a_thread_holds_a_letter_and_its_answer_in_order(gmail_service, sender, recipient):
    threads, messages, subject = gmail_service.users().threads(), gmail_service.users().messages(), token()
    first = send(gmail_service, letter(sender, recipient, subject))
    origin = header(messages.get(userId="me", id=first["id"]).execute(), "Message-ID")
    reply = letter(sender, recipient, f"Re: {subject}", headers={"In-Reply-To": origin, "References": origin})
    second = send(gmail_service, reply, threadId=first["threadId"])
    thread = threads.get(userId="me", id=first["threadId"]).execute()
    assert second["threadId"] == first["threadId"]
    assert [message["id"] for message in thread["messages"]] == [first["id"], second["id"]]
    assert thread["historyId"]


@pytest.mark.parametrize("form", ["minimal", "metadata", "full"])
def test_a_thread_is_answered_in_each_format(gmail_service, sender, recipient, form):
    sent = send(gmail_service, letter(sender, recipient, token()))
    thread = gmail_service.users().threads().get(userId="me", id=sent["threadId"], format=form).execute()
    assert ("payload" in thread["messages"][0]) is (form != "minimal")


def test_the_list_of_threads_pages_newest_first(gmail_service, sender, recipient):
    threads = gmail_service.users().threads()
    sent = [send(gmail_service, letter(sender, recipient, token()))["threadId"] for _ in range(3)]
    listed, request = [], threads.list(userId="me", labelIds=["SENT"], maxResults=2)
    while request is not None and len(listed) < 100:
        page = request.execute()
        listed += page.get("threads", [])
        request = threads.list_next(request, page)
    assert [thread["id"] for thread in listed if thread["id"] in sent] == sent[::-1]
    assert {"id", "snippet", "historyId"} <= set(listed[0])


def test_a_thread_is_modified_trashed_untrashed_and_deleted_as_one(gmail_service, sender, recipient):
    threads, messages = gmail_service.users().threads(), gmail_service.users().messages()
    sent = send(gmail_service, letter(sender, recipient, token()))
    threads.modify(userId="me", id=sent["threadId"], body={"addLabelIds": ["STARRED"]}).execute()
    assert "STARRED" in messages.get(userId="me", id=sent["id"]).execute()["labelIds"]
    threads.trash(userId="me", id=sent["threadId"]).execute()
    assert "TRASH" in messages.get(userId="me", id=sent["id"]).execute()["labelIds"]
    threads.untrash(userId="me", id=sent["threadId"]).execute()
    assert "TRASH" not in messages.get(userId="me", id=sent["id"]).execute()["labelIds"]
    threads.delete(userId="me", id=sent["threadId"]).execute()
    with pytest.raises(HttpError) as refused:
        threads.get(userId="me", id=sent["threadId"]).execute()
    assert refused.value.status_code == 404


def test_the_system_labels_are_listed(gmail_service):
    labels = gmail_service.users().labels().list(userId="me").execute()["labels"]
    system = {label["id"] for label in labels if label["type"] == "system"}
    assert {"INBOX", "SENT", "DRAFT", "TRASH", "SPAM", "UNREAD", "STARRED", "IMPORTANT"} <= system


def test_a_label_is_made_read_renamed_and_removed(gmail_service):
    labels, name = gmail_service.users().labels(), token()
    shown = {"labelListVisibility": "labelShow", "messageListVisibility": "show"}
    made = labels.create(userId="me", body={"name": name} | shown).execute()
    try:
        assert made["id"].startswith("Label_")
        assert labels.get(userId="me", id=made["id"]).execute()["name"] == name
        patched = labels.patch(userId="me", id=made["id"], body={"name": f"{name}-2"}).execute()
        assert patched["name"] == f"{name}-2"
        updated = labels.update(userId="me", id=made["id"], body={"id": made["id"], "name": f"{name}-3"} | shown)
        assert updated.execute()["name"] == f"{name}-3"
    finally:
        labels.delete(userId="me", id=made["id"]).execute()
    with pytest.raises(HttpError) as refused:
        labels.get(userId="me", id=made["id"]).execute()
    assert refused.value.status_code == 404


def test_a_label_name_is_taken_once(gmail_service):
    labels, name = gmail_service.users().labels(), token()
    made = labels.create(userId="me", body={"name": name}).execute()
    try:
        with pytest.raises(HttpError) as refused:
            labels.create(userId="me", body={"name": name}).execute()
        assert refused.value.status_code == 409
        assert refused.value.reason == "Label name exists or conflicts"
    finally:
        labels.delete(userId="me", id=made["id"]).execute()


def test_an_own_label_counts_the_messages_that_carry_it(gmail_service, sender, recipient):
    labels, messages = gmail_service.users().labels(), gmail_service.users().messages()
    made = labels.create(userId="me", body={"name": token()}).execute()
    try:
        sent = send(gmail_service, letter(sender, recipient, token()))
        messages.modify(userId="me", id=sent["id"], body={"addLabelIds": [made["id"]]}).execute()
        read = labels.get(userId="me", id=made["id"]).execute()
        assert (read["messagesTotal"], read["threadsTotal"]) == (1, 1)
    finally:
        labels.delete(userId="me", id=made["id"]).execute()
    assert made["id"] not in messages.get(userId="me", id=sent["id"]).execute()["labelIds"]


def test_the_primary_send_as_address_is_the_mailbox_itself(gmail_service, sender):
    send_as = gmail_service.users().settings().sendAs()
    (primary,) = [entry for entry in send_as.list(userId="me").execute()["sendAs"] if entry.get("isPrimary")]
    assert primary["sendAsEmail"] == sender
    assert send_as.get(userId="me", sendAsEmail=sender).execute()["isDefault"] is True


def test_an_unknown_send_as_address_is_not_found(gmail_service):
    with pytest.raises(HttpError) as refused:
        gmail_service.users().settings().sendAs().get(userId="me", sendAsEmail="nobody@example.com").execute()
    assert refused.value.status_code == 404


def test_the_history_tells_of_a_sent_message_since_the_id_noted_before(gmail_service, sender, recipient, wait_for):
    users = gmail_service.users()
    start = users.getProfile(userId="me").execute()["historyId"]
    sent = send(gmail_service, letter(sender, recipient, token()))
    request = users.history().list(userId="me", startHistoryId=start, historyTypes=["messageAdded"], labelId="SENT")
    wait_for(lambda: "history" in request.execute())
    answer = request.execute()
    added = [entry["message"] for record in answer["history"] for entry in record.get("messagesAdded", [])]
    assert [message["id"] for message in added] == [sent["id"]]
    assert added[0]["threadId"] == sent["threadId"]
    assert int(answer["historyId"]) > int(start)


def test_the_history_pages_and_tells_of_labels_and_deletions(gmail_service, sender, recipient):
    users, messages = gmail_service.users(), gmail_service.users().messages()
    start = users.getProfile(userId="me").execute()["historyId"]
    sent = send(gmail_service, letter(sender, recipient, token()))
    messages.modify(userId="me", id=sent["id"], body={"addLabelIds": ["STARRED"]}).execute()
    messages.modify(userId="me", id=sent["id"], body={"removeLabelIds": ["STARRED"]}).execute()
    messages.delete(userId="me", id=sent["id"]).execute()
    records, request = [], users.history().list(userId="me", startHistoryId=start, maxResults=1)
    while request is not None:
        page = request.execute()
        records += page.get("history", [])
        request = users.history().list_next(request, page)
    kinds = [set(record) & {"messagesAdded", "labelsAdded", "labelsRemoved", "messagesDeleted"} for record in records]
    ids = [int(record["id"]) for record in records]
    assert set().union(*kinds) == {"messagesAdded", "labelsAdded", "labelsRemoved", "messagesDeleted"}
    assert ids == sorted(ids)
    assert ids[0] > int(start)


def test_a_history_with_nothing_new_has_no_records(gmail_service):
    users = gmail_service.users()
    start = users.getProfile(userId="me").execute()["historyId"]
    assert "history" not in users.history().list(userId="me", startHistoryId=start).execute()


def test_a_history_id_from_long_ago_is_not_found(gmail_service):
    with pytest.raises(HttpError) as refused:
        gmail_service.users().history().list(userId="me", startHistoryId="1").execute()
    assert refused.value.status_code == 404
    assert reason_of(refused.value) == "notFound"
