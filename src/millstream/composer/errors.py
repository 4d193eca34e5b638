"""What can go wrong in composition.

ComposerError
├── TemplateError          a template's own folder is wrong: nothing composed from it can work
├── CompositionFailed      this one communication cannot be composed; the others can
│   ├── DataError          the data miss a field, or a field's value is wrong
│   ├── ComposeError       the typesetter refused the document for another reason
│   └── MailTooLarge       the mail's HTML is larger than Gmail shows
└── UnreadablePdf          bytes that are no PDF, a broken one, or one under a password
"""

from __future__ import annotations


class ComposerError(Exception):
    """The root of everything this room raises."""


class TemplateError(ComposerError):
    """A template that is missing or broken; the message names the template, the file and what to do."""

    def __init__(self, template: str, problem: str) -> None:
        super().__init__(f"template {template}: {problem}")
        self.template = template
        self.problem = problem


class CompositionFailed(ComposerError):
    """One communication that cannot be composed; hold it and go on with the others."""

    def __init__(self, *, customer: str, template: str, problem: str) -> None:
        super().__init__(self._sentence(customer, template, problem))
        self.customer = customer
        self.template = template
        self.problem = problem

    def _sentence(self, customer: str, template: str, problem: str) -> str:
        return f"customer {customer}: template {template}: {problem}"


class DataError(CompositionFailed):
    """A missing or wrong field; the message names the customer, the field and the template."""

    def __init__(self, *, customer: str, field: str, template: str, problem: str) -> None:
        self.field = field
        super().__init__(customer=customer, template=template, problem=problem)

    def _sentence(self, customer: str, template: str, problem: str) -> str:
        return f"customer {customer}: field {self.field}: {problem} (template {template})"


class ComposeError(CompositionFailed):
    """The typesetter refused the document; the message carries its own words and the place in the template."""


class MailTooLarge(CompositionFailed):
    """HTML of 100,000 bytes or more, which Gmail would cut off."""


class UnreadablePdf(ComposerError):
    """Bytes that cannot be delivered as a PDF; the message says why."""
