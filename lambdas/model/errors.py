"""The errors between an upload and its results, and whether a retry helps.

AnalysisError
├── MalformedEvent      a message is not shaped as its sender promises   never; it goes to the dead-letter queue
├── WrongSettings       the functions were deployed with bad settings    never, until they are deployed again
├── WrongRuntime        the runtime's boto3 is too old                   never, until the runtime is updated
├── CannotStart         Rekognition will never take this video           never; the job is REJECTED
│   └── Gone            the object was deleted or replaced               only if it is uploaded again
├── AccountFault        a right, a role, a key or a setting is wrong     once that is fixed; see blocking.py
├── TokenTaken          the attempt's token stands for another call        at once, as the next attempt
├── NoFreeSlot          the account is running all the jobs it may       wait; nothing is wrong
├── BudgetReached       the month's budget is used up                    next month, or once it is raised
├── SharesChanged       another start was faster                         at once, from the new record
├── SlowDown            too many calls a second                          in a moment
├── ServiceTrouble      Rekognition, or the way to it, is failing        later
├── CollectionDenied    this stack may not read a job's results          later; an operator has to allow it
├── EventRefused        EventBridge did not take an event                later
├── PageTokenExpired    a page token outlived its 24 hours               at once, from page one
└── JobForgotten        Rekognition does not know the job (any more)     with a new attempt
"""


class AnalysisError(Exception):
    """The base of all errors that this project raises."""


class MalformedEvent(AnalysisError):
    """A message is not shaped as its sender promises."""


class WrongSettings(AnalysisError):
    """An environment variable is missing or is invalid."""


class WrongRuntime(AnalysisError):
    """The runtime's boto3 is older than the functions need."""


class CannotStart(AnalysisError):
    """Rekognition will never accept this video as it is; the text is the job's reason."""


class Gone(CannotStart):
    """The object is no longer there, or no longer the one that was uploaded."""


class AccountFault(AnalysisError):
    """A right, a role, a key or a setting of this account is wrong; or, unless `certain`, of this one video.

    Attributes:
        scope: what it concerns: ``videos`` (every video, whatever its analysis) or the name of an analysis.
        certain: whether it is certainly the account's.
    """

    def __init__(self, scope: str, text: str, *, certain: bool = False) -> None:
        super().__init__(text)
        self.scope = scope
        self.certain = certain


class TokenTaken(AnalysisError):
    """The attempt's token was used within 7 days with other parameters: for example with another stack's topic or
    role."""


class NoFreeSlot(AnalysisError):
    """The account is running all the video jobs it may (20 by default, over all analyses)."""


class BudgetReached(AnalysisError):
    """The month's budget is used up; the text is the month."""


class SharesChanged(AnalysisError):
    """The record of shares has changed since the job was chosen from it."""


class SlowDown(AnalysisError):
    """Too many calls a second, or too sudden a rise."""


class ServiceTrouble(AnalysisError):
    """A service failed to answer, or answered with a fault of its own.

    Attributes:
        maybe_started: whether it was a Start that Rekognition may have accepted.
    """

    maybe_started = False


class CollectionDenied(AnalysisError):
    """The collecting function is not allowed to read a job's results; the text is the job's reason."""


class EventRefused(AnalysisError):
    """EventBridge did not accept an event in several tries."""


class PageTokenExpired(AnalysisError):
    """A page token has expired; tokens live 24 hours."""


class JobForgotten(AnalysisError):
    """Rekognition doesn't know the job: it never existed, or finished more than 7 days ago."""
