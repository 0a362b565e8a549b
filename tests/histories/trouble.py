"""What happens at the border between the handlers and AWS: crashes, errors, refused rights, and others in between.

Every call that a handler makes goes through ``Trouble.call``. A plan names one call, by its number or by what it is,
and what befalls it. Rights are taken and given back between any two calls. Some objects can't be read at all.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NoReturn

from botocore.exceptions import ClientError

from rekognition_local.aws import Objects, Stored, Unreadable
from rekognition_local.engines import Source
from tests.fake_aws import VirtualClock
from tests.histories.settings import Choices

Kind = Literal["crash before", "crash after", "error before", "error after", "in part", "meanwhile", "meanwhile after"]

CALL = 0.02  # seconds that a call takes

# What a service says when it fails, when it is asked too fast, and when the caller may not.
DOWN = {
    "dynamodb": ("InternalServerError", 500),
    "s3": ("InternalError", 500),
    "sqs": ("InternalError", 500),
    "events": ("InternalFailure", 500),
    "rekognition": ("InternalServerError", 500),
}
SLOW = {
    "dynamodb": ("ProvisionedThroughputExceededException", 400),
    "s3": ("SlowDown", 503),
    "sqs": ("RequestThrottled", 403),
    "events": ("ThrottlingException", 400),
    "rekognition": ("ThrottlingException", 400),
}
DENIED = {
    "dynamodb": ("AccessDeniedException", 400),
    "s3": ("AccessDenied", 403),
    "sqs": ("AccessDenied", 403),
    "events": ("AccessDeniedException", 400),
    "rekognition": ("AccessDeniedException", 400),
}
INVALID = {"rekognition": ("InvalidParameterException", 400)}
CODES = {"down": DOWN, "slow": SLOW, "denied": DENIED, "invalid": INVALID}

# Rights that an operator, a key's administrator or an organization takes away and gives back.
RIGHTS = ("read", "tags", "key", "start", "start face-detection", "role", "get", "results", "queue", "events", "table")
STARTING = {"read", "tags", "key", "start", "start face-detection", "role"}
"""Those without which something can't be started."""

# What is wrong with single objects, said in their metadata: encrypted with the customer's own key in each request
# (SSE-C), encrypted with a KMS key that is disabled, archived.
BAD = "bad"
OWN_KEY, DISABLED_KEY, ARCHIVED = "own-key", "disabled-key", "archived"

UNREADABLE = ("InvalidS3ObjectException", 400)


class Crash(BaseException):
    """The function is gone between one instruction and the next: out of memory, out of time, a broken machine."""


class BrokenWithin(BaseException):
    """A promise was broken while a handler runs. No Exception, so that no handler can swallow it."""

    def __init__(self, broken: AssertionError) -> None:
        super().__init__(str(broken))
        self.broken = broken


@dataclass(frozen=True, slots=True)
class Plan:
    """What befalls one call of an invocation.

    Attributes:
        at: the number of the call; with `on`, the first such call from there on.
        kind: what befalls it.
        on: what the operation's name begins with.
        code: of an error before the call: ``down``, ``slow``, ``denied``, ``invalid``.
        meanwhile: what others do at that moment.
        choice: which of the things there are to choose from.
        seconds: how long the call takes then.
    """

    at: int
    kind: Kind
    on: str = ""
    code: str = "down"
    meanwhile: str = ""
    choice: int = 0
    seconds: float = 0.0


@dataclass(slots=True)
class Burst:
    """The next calls of a service are refused."""

    service: str
    operation: str  # what its name begins with
    code: str
    left: int


@dataclass(slots=True)
class Invocation:
    """One that is under way."""

    plan: Plan | None
    deadline: float
    choices: Choices  # the settings it began with
    owner: str = ""  # its id
    skew: float = 0.0  # seconds that its clock is ahead
    paused: bool = False  # whether starting was, when it began
    error: BaseException | None = None  # that a message failed with
    full: bool = False  # whether it was told that there is no slot
    calls: int = 0
    met: list[tuple[str, str, str]] = field(default_factory=list)  # service, operation, code of what failed
    seen: dict[str, str] = field(default_factory=dict)  # etags of the videos that S3 was asked for, by key
    held: set[str] = field(default_factory=set)  # jobs whose lease it took or renewed since it last read a page

    def due(self, operation: str) -> Plan | None:
        """The plan, if it is about this call."""
        plan = self.plan
        if plan is None or self.calls < plan.at or not operation.startswith(plan.on):
            return None
        if not plan.on and self.calls != plan.at:
            return None
        self.plan = None
        return plan

    @property
    def explained(self) -> bool:
        """Whether it may fail: something failed that it can't do without. What Rekognition and the videos' bucket
        answer is no reason to fail."""
        return any(service not in ("rekognition", "videos") for service, _, _ in self.met)


class HandlersClock:
    """The clock of the machine on which the running function runs."""

    def __init__(self, clock: VirtualClock, running: list[Invocation]) -> None:
        self._clock = clock
        self._running = running

    def now(self) -> float:
        return self._clock.now() + (self._running[-1].skew if self._running else 0.0)

    def sleep(self, seconds: float) -> None:
        self._clock.sleep(seconds)


@dataclass
class Trouble:
    """The border.

    Attributes:
        revoked: the rights that are taken away now.
        bursts: refusals to come.
        partial: so many of the next batches of SQS messages lose one of theirs.
        last_key: of the video that S3 was asked for last.
        suspected: how often a call about a video met a fault that may be the account's or the video's, by key.
        observe: told of each call before it is carried out.
        refuse_event: lets the next entry of PutEvents fail.
    """

    clock: VirtualClock
    meanwhile: Callable[[Plan], None]
    page_seconds: float = 0.0  # that a page takes
    call_seconds: float = CALL  # that every other call takes
    running: list[Invocation] = field(default_factory=list)
    revoked: set[str] = field(default_factory=set)
    bursts: list[Burst] = field(default_factory=list)
    partial: int = 0
    last_key: str = ""
    suspected: Counter[str] = field(default_factory=Counter)
    observe: Callable[[str, str, Mapping[str, Any]], None] = lambda *_: None
    refuse_event: Callable[[], None] = lambda: None

    def wrap(self, service: str, client: Any) -> Any:
        """A client whose calls pass here."""
        carry_out = client._make_api_call
        client._make_api_call = lambda operation, params: self.call(
            service, operation, params, lambda params: carry_out(operation, params)
        )
        return client

    def call(self, service: str, operation: str, params: Any, carry_out: Callable[[Any], Any]) -> Any:
        """One call of a handler."""
        page = operation.startswith("Get") and service == "rekognition"
        self.clock.seconds += self.page_seconds if page else self.call_seconds
        try:
            return self._call(service, operation, params, carry_out)
        except AssertionError as broken:
            raise BrokenWithin(broken) from broken

    def _call(self, service: str, operation: str, params: Any, carry_out: Callable[[Any], Any]) -> Any:
        invocation = self.running[-1]
        invocation.calls += 1
        if self.clock.now() > invocation.deadline:
            raise Crash("out of time")
        plan = invocation.due(operation)
        if plan:
            if plan.kind == "meanwhile":
                self.meanwhile(plan)
                if self.clock.now() > invocation.deadline:
                    raise Crash("out of time")
            elif plan.kind == "crash before":
                raise Crash(operation)
            elif plan.kind == "in part" and operation == "SendMessageBatch":
                self.partial += 1
            elif plan.kind == "in part":
                self.refuse_event()
            elif plan.kind == "error before":
                self._fail(service, operation, params, *self._code(service, operation, plan.code))
        answer = self._carry_out(service, operation, params, carry_out)
        if plan:
            if plan.kind == "meanwhile after":
                self.meanwhile(plan)
            elif plan.kind == "crash after":
                raise Crash(operation)
            elif plan.kind == "error after":
                self._fail(service, operation, params, *DOWN[service])
        return answer

    def _carry_out(self, service: str, operation: str, params: Any, carry_out: Callable[[Any], Any]) -> Any:
        for right in sorted(self.revoked):
            if refusal := _without(right, service, operation, params):
                self._fail(service, operation, params, *refusal)
        for burst in self.bursts:
            if burst.service == service and operation.startswith(burst.operation):
                burst.left -= 1
                if not burst.left:
                    self.bursts.remove(burst)
                self._fail(service, operation, params, *self._code(service, operation, burst.code))
        if service == "s3" and params["Bucket"] == "videos":
            self.last_key = params["Key"]
        self.observe(service, operation, params)
        lost = None
        if self.partial and operation == "SendMessageBatch":
            self.partial -= 1
            lost, params = params["Entries"][0], {**params, "Entries": params["Entries"][1:]}
        try:
            answer = carry_out(params) if lost is None or params["Entries"] else {"Successful": []}
        except ClientError as error:
            self._note(service, operation, params, error)
            raise
        if lost:
            failed = {"Id": lost["Id"], "SenderFault": False, "Code": "InternalError", "Message": "not this one"}
            answer = {**answer, "Failed": [failed]}
            self.running[-1].met.append((service, operation, "Failed"))
        if operation == "PutEvents" and answer["FailedEntryCount"]:
            self.running[-1].met.append((service, operation, "FailedEntryCount"))
        if operation in ("HeadObject", "GetObject") and params["Bucket"] == "videos":
            answer = self._look(operation, params, answer)
        return answer

    def _look(self, operation: str, params: Any, answer: Any) -> Any:
        """What S3 answers about an object, which may be a bad one."""
        head = operation == "HeadObject"
        self.running[-1].seen[params["Key"]] = answer["ETag"].strip('"')
        match answer["Metadata"].get(BAD):
            case "own-key":
                what = "400" if head else "InvalidRequest"
                words = "The object was stored using a form of Server Side Encryption."
                self._fail("s3", operation, params, what, 400, "Bad Request" if head else words)
            case "disabled-key":
                what = "400" if head else "KMS.DisabledException"
                self._fail("s3", operation, params, what, 400, "Bad Request" if head else "the key is disabled")
            case "archived":
                if not head:
                    self._fail("s3", operation, params, "InvalidObjectState", 403)
                return {**answer, "StorageClass": "GLACIER"}
        return answer

    @staticmethod
    def _code(service: str, operation: str, kind: str) -> tuple[str, int]:
        code, status = CODES[kind].get(service) or DENIED[service]
        return (str(status) if operation == "HeadObject" else code), status

    def _fail(self, service: str, operation: str, params: Any, code: str, status: int, message: str = "") -> NoReturn:
        """End in an error."""
        details: Any = {
            "Error": {"Code": code, "Message": message},
            "ResponseMetadata": {"HTTPStatusCode": status, "HTTPHeaders": {}},
        }
        error = ClientError(details, operation)
        self._note(service, operation, params, error)
        raise error

    def _note(self, service: str, operation: str, params: Any, error: ClientError) -> None:
        """Remember a failed call of the running invocation, unless its failing is an answer."""
        code = error.response["Error"]["Code"]
        self.running[-1].full |= code == "LimitExceededException"
        if code in ANSWERS:
            return
        videos = service == "s3" and params["Bucket"] == "videos"
        self.running[-1].met.append(("videos" if videos else service, operation, code))
        if videos:
            self.suspected[params["Key"]] += 1
        elif operation.startswith("Start"):
            self.suspected[params["Video"]["S3Object"]["Name"]] += 1


# Errors that are answers like others: the handlers ask in order to be told so.
ANSWERS = {
    "ConditionalCheckFailedException",
    "TransactionCanceledException",
    "PreconditionFailed",
    "ConditionalRequestConflict",
    "404",
    "NoSuchKey",
    "NoSuchVersion",
    "LimitExceededException",
    "IdempotentParameterMismatchException",
    "ResourceNotFoundException",
    "InvalidS3ObjectException",
}


def _without(right: str, service: str, operation: str, params: Any) -> tuple[str, int] | None:
    """What a call ends in without that right; None where it isn't needed."""
    videos = service == "s3" and params["Bucket"] == "videos"
    start, head = service == "rekognition" and operation.startswith("Start"), operation == "HeadObject"
    match right:
        case "read" if videos and operation != "GetObjectTagging":
            return ("403" if head else "AccessDenied"), 403
        case "tags" if operation == "GetObjectTagging":
            return "AccessDenied", 403
        case "key" if videos and operation != "GetObjectTagging":
            return ("400" if head else "KMS.DisabledException"), 400
        case "read" | "key" if start:
            return UNREADABLE
        case "start" if start:
            return DENIED[service]
        case "start face-detection" if operation == "StartFaceDetection":
            return DENIED[service]
        case "role" if start:
            return INVALID[service]
        case "get" if service == "rekognition" and operation.startswith("Get"):
            return DENIED[service]
        case "results" if service == "s3" and not videos and operation.startswith(("Put", "Create", "Upload")):
            return DENIED[service]
        case "queue" if service == "sqs":
            return DENIED[service]
        case "events" if service == "events":
            return DENIED[service]
        case "table" if service == "dynamodb" and operation in ("UpdateItem", "PutItem", "TransactWriteItems"):
            return DENIED[service]
    return None


@dataclass(frozen=True, slots=True)
class Readable:
    """The objects as Rekognition can read them: with the caller's rights, and not the bad ones."""

    objects: Objects
    revoked: set[str]

    def head(self, source: Source) -> Stored:
        stored = self.objects.head(source)
        if BAD in stored.metadata or self.revoked & {"read", "key"}:
            raise Unreadable(source.name)
        return stored

    def download(self, source: Source, into: Any) -> None:
        self.objects.download(source, into)


class AtOnce:
    """Stands for the executor that fetches pages ahead, so that calls have an order. Its errors come with the result,
    as an executor's do; a crash takes everything with it."""

    def __init__(self, *_: Any, **__: Any) -> None:
        self._error: Exception | None = None
        self._result: Any = None

    def __enter__(self) -> "AtOnce":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def submit(self, call: Callable[..., Any], *arguments: Any) -> "AtOnce":
        """Do it now, and say later what came of it."""
        ahead = AtOnce()
        try:
            ahead._result = call(*arguments)
        except Exception as error:
            ahead._error = error
        return ahead

    def result(self) -> Any:
        """What came of it."""
        if self._error:
            raise self._error
        return self._result
