"""Every exception that this project raises on purpose, in one tree; messages never hold patient data or tokens.

CoverageCdsError
├── RequestError                what was sent cannot be answered; each class is one HTTP status
│   ├── NotJson             400 not a JSON text that this service reads
│   ├── NotAHookRequest     400 JSON, but not a CDS Hooks request
│   ├── WrongHook           400 a hook that the service is not for
│   ├── WrongPatient        400 data of another patient
│   ├── NotFeedback         400 JSON, but not CDS Hooks feedback
│   ├── NotParameters       400 JSON, but not the Parameters of the operation
│   ├── UnknownService      404 no service of this id
│   ├── NotFound            404 no questionnaire, decision or sample of this name
│   ├── NothingToGoOn       412 neither the Patient nor any clinical record could be had
│   ├── TooLarge            413 a body over the limit
│   ├── WrongMediaType      415 not sent as JSON
│   ├── Unprocessable       422 readable, but against a rule
│   └── Unavailable         503 cannot be done now; worth trying again
│       └── Overloaded      503 too much is being done already
├── FhirError                   the EHR's FHIR server
│   └── CouldNotRetrieve        a record could not be had from it
├── StoreFailed                 the database, or the process that stores, did not do what it was asked
│   └── Refused                 what was to be stored does not fit
├── UnusableInput               a file or an argument of the command line that cannot be used
└── SettingsError               a setting that cannot be used

A policy file that cannot be used is a ``cds_service.policy.errors.PolicyError``: the core imports nothing of ours.
"""

from __future__ import annotations

from typing import ClassVar


class CoverageCdsError(Exception):
    """The root: whatever this project raises on purpose."""


class RequestError(CoverageCdsError):
    """What was sent cannot be answered as it is.

    ``message`` is one sentence: what is wrong, where, and what would be right. ``expression`` is the path of the
    member at fault (``context.patientId``) where there is one. ``status`` is the HTTP status, ``code`` the FHIR
    issue type (http://hl7.org/fhir/R4/valueset-issue-type.html).
    """

    status: ClassVar[int] = 400
    code: ClassVar[str] = "invalid"

    def __init__(self, message: str, expression: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.expression = expression


class NotJson(RequestError):  # noqa: N818 - named for what was sent; the base class says that it is an error
    """The body is no JSON text that this service reads."""

    code = "structure"


class NotAHookRequest(RequestError):  # noqa: N818 - as above
    """The body is JSON, but not a CDS Hooks request."""


class WrongHook(RequestError):  # noqa: N818 - as above
    """The request is for a hook that the addressed service does not serve."""

    code = "not-supported"


class WrongPatient(RequestError):  # noqa: N818 - as above
    """Data of another patient came along; nothing may be concluded from any of it."""

    code = "conflict"


class NotFeedback(RequestError):  # noqa: N818 - as above
    """The body is JSON, but not CDS Hooks feedback."""


class NotParameters(RequestError):  # noqa: N818 - as above
    """The body is JSON, but not the FHIR Parameters that the operation takes."""


class NotFound(RequestError):  # noqa: N818 - as above
    """There is no questionnaire, decision or sample of the name in the URL."""

    status = 404
    code = "not-found"


class UnknownService(RequestError):  # noqa: N818 - as above
    """No service has the id in the URL."""

    status = 404
    code = "not-found"


class NothingToGoOn(RequestError):  # noqa: N818 - as above
    """Neither the Patient nor any clinical record could be had, sent or fetched."""

    status = 412
    code = "required"


class TooLarge(RequestError):  # noqa: N818 - as above
    """The body is over the configured limit."""

    status = 413
    code = "too-long"


class WrongMediaType(RequestError):  # noqa: N818 - as above
    """The body was not sent as JSON."""

    status = 415
    code = "not-supported"


class Unprocessable(RequestError):  # noqa: N818 - as above
    """The request can be read, but breaks a rule that its meaning depends on."""

    status = 422
    code = "business-rule"


class Unavailable(RequestError):  # noqa: N818 - as above
    """The service cannot do it now; the same request may succeed later."""

    status = 503
    code = "transient"
    retry_after: ClassVar[int] = 5
    """Seconds after which a client may try again."""


class Overloaded(Unavailable):
    """As many requests are being answered as this process answers at the same time."""

    code = "throttled"
    retry_after = 1


class FhirError(CoverageCdsError):
    """Something about the EHR's FHIR server."""


class CouldNotRetrieve(FhirError):  # noqa: N818 - as above
    """A record could not be had; ``reason`` says why, in our words; ``result`` is how the fetch is counted."""

    def __init__(self, reason: str, result: str = "unusable") -> None:
        super().__init__(reason)
        self.reason = reason
        self.result = result


class StoreFailed(CoverageCdsError):  # noqa: N818 - named for what happened
    """Nothing was stored, as far as is known; the message names the class of what was raised."""


class Refused(StoreFailed):
    """Nothing was stored, and the fault is that of what was to be stored: the database has to be well to say so."""


class UnusableInput(CoverageCdsError):  # noqa: N818 - named for what was given
    """A file or an argument of the command line cannot be used."""


class SettingsError(CoverageCdsError):
    """A setting cannot be used; the message names its environment variable."""
