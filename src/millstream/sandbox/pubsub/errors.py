"""What Pub/Sub refuses, with its canonical code and wording.

PubSubRefusal        an answer with an error in it
InvalidArgument    400 INVALID_ARGUMENT
NotThere           404 NOT_FOUND
AlreadyThere       409 ALREADY_EXISTS
NotAllowed         403 PERMISSION_DENIED
"""


class PubSubRefusal(Exception):
    """An error answer: `code` is the HTTP status, `status` the canonical name that gRPC uses too."""

    code = 500
    status = "INTERNAL"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class InvalidArgument(PubSubRefusal):
    """A request that can never work."""

    code, status = 400, "INVALID_ARGUMENT"

    def __init__(self, argument: str) -> None:
        super().__init__(f"You have passed an invalid argument to the service (argument={argument}).")


class NotThere(PubSubRefusal):
    """No such topic or subscription."""

    code, status = 404, "NOT_FOUND"

    def __init__(self, name: str) -> None:
        super().__init__(f"Resource not found (resource={name.rpartition('/')[2]}).")


class AlreadyThere(PubSubRefusal):
    """A name that is taken."""

    code, status = 409, "ALREADY_EXISTS"

    def __init__(self, name: str) -> None:
        super().__init__(f"Resource already exists in the project (resource={name.rpartition('/')[2]}).")


class NotAllowed(PubSubRefusal):
    """A caller without the role."""

    code, status = 403, "PERMISSION_DENIED"

    def __init__(self) -> None:
        super().__init__("User not authorized to perform this action.")
