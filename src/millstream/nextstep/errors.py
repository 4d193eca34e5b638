"""What can go wrong with a next step on our side of the call.

::

    NextStepError
    ├── UnknownStep     there is no step of this number
    ├── NotPossible     a step cannot be moved so from where it stands
    ├── BadWish         what is asked for lacks something, or names what is not set up: it never becomes a call
    └── HandingFailed   what a composition gave could not be handed in; trying again helps

What Exstream says against a call is an `ExstreamError`; it stays one.
"""


class NextStepError(Exception):
    """Base of what this room reports."""


class UnknownStep(NextStepError):
    """There is no step of this number."""


class NotPossible(NextStepError):
    """A step cannot be moved so from where it stands."""


class BadWish(NextStepError):
    """What is asked for lacks something, or names what is not set up."""


class HandingFailed(NextStepError):
    """What a composition gave could not be handed in. Temporary."""
