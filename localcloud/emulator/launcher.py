"""Starts ministack, the AWS emulator, with nine additions that this project needs.

Run by the interpreter of `.venv-emulator`, which is also the one that Lambda code then runs on:

    .venv-emulator/bin/python localcloud/emulator/launcher.py --port 4566 --rekognition-url-file PATH

1. **A `rekognition` service in the emulator's own port**, so that `AWS_ENDPOINT_URL` is all a client needs and so
   that IAM stands in front of Rekognition's actions as it does in front of every other service's. The calls are
   forwarded to the URL that the file holds; the file is read anew for each call, so the endpoint may come later,
   move, or be taken away for a while. What IAM refuses is answered with HTTP 400, as Rekognition does (Developer Guide,
   error handling), and not 403.
2. **Loopback counts as TLS**, so that `aws:SecureTransport` denies (CDK's bootstrap bucket has one, and so have our
   buckets, queues and topic) pass on plain http and IAM can be enforced.
3. **A service that assumes a role comes from an account.** Services act with root's credentials here, and a trust
   policy that names a service lets root through; but a condition on `aws:SourceAccount` (our publisher role's) never
   held. MediaConvert, which names its session so, also comes from its default queue (`aws:SourceArn`).
4. **A batch is allowed by the permission for one.** On AWS there is no `sqs:SendMessageBatch` to grant:
   `sqs:SendMessage` covers it. The emulator denied the batch in spite of that permission.
5. **Nothing needs to empty a bucket** before it is deleted with its stack: the emulator deletes full ones. CDK's
   resource that would (`retain_data=false` brings it) is a Node function whose SDK is not here, and a deployment
   waited an hour for its answer.
6. **HeadObject says how many tags an object has**, as GetObject does here and both do on AWS.
7. **Rekognition's managed policies exist.** The emulator takes the attachment of a policy it does not know and grants
   nothing for it, so the roles of AWS's own examples had no rights and nothing said so.
8. **A `mediaconvert` service**, as the first: forwarded, with IAM in front. Its endpoint is started only when the first
   call comes: the launcher makes the file `mediaconvert-wanted` beside the URL's, and waits for the URL.
9. **The root's credentials publish events of `aws.mediaconvert`**, as which MediaConvert acts here. Events whose source
   is AWS's are refused to clients, on AWS and by the emulator.

They use private names of ministack, hence the exact version. Nothing else is patched: what else it lacks is designed
around in the stack.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import http.client
import importlib.metadata
import ipaddress
import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlencode, urlsplit

VERSION = "1.5.33"

# Operations that AWS authorizes as another (Service Authorization Reference: Amazon SQS, Amazon SNS).
AUTHORIZED_AS = {
    "sqs:SendMessageBatch": "sqs:SendMessage",
    "sqs:DeleteMessageBatch": "sqs:DeleteMessage",
    "sqs:ChangeMessageVisibilityBatch": "sqs:ChangeMessageVisibility",
    "sns:PublishBatch": "sns:Publish",
}

MEDIACONVERT = "aws.mediaconvert"
STARTING = 60  # seconds that the first call to MediaConvert waits for its endpoint

# Hop-by-hop, or belonging to the connection that is not passed on (the body arrives already inflated).
NOT_FORWARDED = {"host", "connection", "keep-alive", "transfer-encoding", "content-length", "content-encoding"}
# Ministack puts its own of these on every answer.
NOT_RETURNED = {"connection", "keep-alive", "transfer-encoding", "content-length", "date", "server", "x-amzn-requestid"}

ON_A_COLLECTION = {
    "StartFaceSearch",
    *("CreateCollection", "DeleteCollection", "DescribeCollection", "IndexFaces", "ListFaces", "DeleteFaces"),
    *("SearchFaces", "SearchFacesByImage"),
}

# Path and name -> description and statements (actions, resource), version v1 of each (AWS Managed Policy Reference).
MANAGED_POLICIES = {
    "service-role/AmazonRekognitionServiceRole": (
        "Allows Rekognition to call AWS services on your behalf.",
        [
            (["sns:Publish"], "arn:aws:sns:*:*:AmazonRekognition*"),
            (["kinesis:PutRecord", "kinesis:PutRecords"], "arn:aws:kinesis:*:*:stream/AmazonRekognition*"),
            (["kinesisvideo:GetDataEndpoint", "kinesisvideo:GetMedia"], "*"),
        ],
    ),
    "AmazonRekognitionFullAccess": ("Access to all Amazon Rekognition APIs", [(["rekognition:*"], "*")]),
}

# A call waits for the endpoint in one of these and not in one of the 64 threads that run Lambda functions.
forwarders = ThreadPoolExecutor(max_workers=64, thread_name_prefix="forward")


def main() -> None:
    parser = argparse.ArgumentParser(description="ministack with Rekognition")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--rekognition-url-file", type=Path, required=True)
    parser.add_argument("--mediaconvert-url-file", type=Path)
    options = parser.parse_args()

    try:
        found = importlib.metadata.version("ministack")
    except importlib.metadata.PackageNotFoundError:
        found = "none"
    if found != VERSION:
        sys.exit(
            f"The local cloud needs ministack {VERSION} and finds {found}: it hooks into private names that move. "
            "Run tools/setup, or check launcher.py against the new version and change VERSION."
        )

    # Ministack reads its settings from the environment, at import.
    os.environ.update(GATEWAY_PORT=str(options.port), BIND_HOST="127.0.0.1", AUTH="true")
    sys.argv = ["ministack"]
    import ministack.app

    serve_rekognition(ministack.app, options.rekognition_url_file)
    if options.mediaconvert_url_file:
        serve_mediaconvert(ministack.app, options.mediaconvert_url_file)
    count_loopback_as_tls(ministack.app)
    give_services_a_source_account()
    authorize_batches_as_aws_does()
    let_buckets_be_deleted_full()
    count_tags_in_heads()
    add_managed_policies()
    ministack.app.main()


def count_loopback_as_tls(app) -> None:
    pin = app.pin_request_origin
    app.pin_request_origin = lambda ip, secure: pin(ip, secure or ipaddress.ip_address(ip).is_loopback)


def give_services_a_source_account() -> None:
    from ministack.core import iam_evaluator

    resolve = iam_evaluator._resolve_condition_key

    def resolve_with_source(key, context):
        value = resolve(key, context)
        if value is not None or context.action != "sts:AssumeRole" or context.principal_type != "Root":
            return value
        if key.lower() == "aws:sourceaccount":
            return context.principal_account
        converts = context.service_context.get("sts:rolesessionname") == "MediaConvert"
        if key.lower() == "aws:sourcearn" and converts:
            return f"arn:aws:mediaconvert:{context.region}:{context.principal_account}:queues/Default"
        return None

    iam_evaluator._resolve_condition_key = resolve_with_source


def authorize_batches_as_aws_does() -> None:
    from ministack.core import iam_actions

    extract = iam_actions.extract_iam_action

    def extract_as_aws(*request):
        action = extract(*request)
        return AUTHORIZED_AS.get(action, action)

    iam_actions.extract_iam_action = extract_as_aws


def count_tags_in_heads() -> None:
    from ministack.services import s3

    head = s3._head_object

    def head_with_count(bucket, key, *request):
        status, headers, body = head(bucket, key, *request)
        if status == 200:
            headers.update(s3._object_tagging_count_header(bucket, key, headers.get("x-amz-version-id")))
        return status, headers, body

    s3._head_object = head_with_count


def add_managed_policies() -> None:
    from ministack.services import iam

    seed = iam._seed_aws_managed_policies

    def seed_more() -> None:
        seed()
        for name, (description, statements) in MANAGED_POLICIES.items():
            allowed = [{"Effect": "Allow", "Action": actions, "Resource": where} for actions, where in statements]
            document = json.dumps({"Version": "2012-10-17", "Statement": allowed})
            record = iam._make_aws_managed_record(name, document, description)
            iam._aws_managed_policies[record["Arn"]] = record

    iam._seed_aws_managed_policies = seed_more  # called again when the emulator is reset
    seed_more()


def let_buckets_be_deleted_full() -> None:
    from ministack.services.cloudformation import provisioners

    provisioners._RESOURCE_HANDLERS["Custom::S3AutoDeleteObjects"] = {
        "create": lambda logical_id, *_: (logical_id, {}),
        "update": lambda physical_id, *_: (physical_id, {}),
        "delete": lambda *_: None,
    }


def serve_rekognition(app, url_file: Path) -> None:
    from ministack.core import iam_actions, router

    async def handle(method, path, headers, body, query):
        sent = {k: v for k, v in headers.items() if k not in NOT_FORWARDED and not k.startswith("x-rekognition-local-")}
        sent |= facts_about_caller(headers, body, query)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(forwarders, forward, "Rekognition", url_file, method, path, sent, body)

    app.SERVICE_HANDLERS["rekognition"] = handle
    router.SERVICE_PATTERNS["rekognition"] = {}  # else it loads every model of botocore to see whether there is one
    # Without this line the emulator knows no IAM action for these calls, and lets everybody through.
    iam_actions.SERVICE_TO_IAM_NAMESPACE["rekognition"] = "rekognition"
    extract = iam_actions.extract_resource_arn

    def extract_with_collections(service, method, path, headers, body, query, region, account):
        if service == "rekognition":
            return collection_arn(headers, body, region, account)
        return extract(service, method, path, headers, body, query, region, account)

    iam_actions.extract_resource_arn = extract_with_collections
    refuse = iam_actions.access_denied_response

    def refuse_with_400(service, *about, **more):
        status, answer_headers, content = refuse(service, *about, **more)
        return 400 if service == "rekognition" else status, answer_headers, content

    iam_actions.access_denied_response = refuse_with_400


def serve_mediaconvert(app, url_file: Path) -> None:
    from ministack.core import iam_actions, router
    from ministack.core.iam_evaluator import caller_arn
    from ministack.services import eventbridge

    async def handle(method, path, headers, body, query):
        own = "x-mediaconvert-local-"
        sent = {k: v for k, v in headers.items() if k not in NOT_FORWARDED and not k.startswith(own)}
        sent |= facts_about_converter(headers, body, query)
        asked = f"{path}?{urlencode(query, doseq=True)}" if query else path
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(forwarders, forward_when_started, url_file, method, asked, sent, body)

    app.SERVICE_HANDLERS["mediaconvert"] = handle
    router.SERVICE_PATTERNS["mediaconvert"] = {}
    iam_actions.SERVICE_TO_IAM_NAMESPACE["mediaconvert"] = "mediaconvert"
    iam_actions._BOTOCORE_SERVICE_MAP["mediaconvert"] = ["mediaconvert"]
    extract = iam_actions.extract_resource_arn

    def extract_with_jobs(service, method, path, headers, body, query, region, account):
        if service == "mediaconvert":
            return f"arn:aws:mediaconvert:{region}:{account}:{converter_resource(method, path, body)}"
        return extract(service, method, path, headers, body, query, region, account)

    iam_actions.extract_resource_arn = extract_with_jobs
    put = eventbridge._put_events

    def put_as_services(data, allow_aws_source=False):
        sources = {entry.get("Source") for entry in data.get("Entries", [])}
        return put(data, allow_aws_source or (sources == {MEDIACONVERT} and caller_arn().endswith(":root")))

    eventbridge._put_events = put_as_services


def converter_resource(method: str, path: str, body: bytes) -> str:
    """What a MediaConvert call is authorized on (Service Authorization Reference): a job, or a queue."""
    parts = path.strip("/").split("/")
    if parts[1:2] == ["jobs"] and len(parts) == 3:
        return f"jobs/{parts[2]}"
    name = "Default"
    if method == "POST":
        with contextlib.suppress(ValueError, AttributeError):
            name = str(json.loads(body or b"{}").get("queue") or name).rpartition("/")[2]
    return f"queues/{name}"


def facts_about_converter(headers: dict, body: bytes, query: dict) -> dict[str, str]:
    """Who calls MediaConvert, and whether they may pass it the role they name."""
    from ministack.core.iam_evaluator import caller_arn, enforce
    from ministack.core.responses import get_account_id, get_region
    from ministack.core.router import extract_access_key_id

    region = get_region()
    facts = {
        "X-Mediaconvert-Local-Account": get_account_id(),
        "X-Mediaconvert-Local-Region": region,
        "X-Mediaconvert-Local-Caller": caller_arn(),
    }
    try:
        request = json.loads(body or b"{}")
    except ValueError:
        return facts
    match request:
        case {"role": str(role)}:
            access_key, passed_to = extract_access_key_id(headers, query), "mediaconvert.amazonaws.com"
            refusal = enforce(access_key, "iam:PassRole", "iam", region, role, {"iam:PassedToService": passed_to})
            facts["X-Mediaconvert-Local-May-Pass-Role"] = json.dumps(refusal is None)
    return facts


def forward_when_started(url_file: Path, *request):
    """Forward to MediaConvert's endpoint, which the supervisor starts when it is wanted."""
    if not url_file.exists():
        url_file.with_name("mediaconvert-wanted").touch()
        deadline = time.monotonic() + STARTING
        while not url_file.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
    return forward("MediaConvert", url_file, *request)


def collection_arn(headers: dict, body: bytes, region: str, account: str) -> str:
    """What a Rekognition call is authorized on: the face collection it names, or "*".

    Of the calls that the endpoint offers, those that take a CollectionId have a resource type, and only they (Service
    Authorization Reference).
    """
    target = next((value for name, value in headers.items() if name.lower() == "x-amz-target"), "")
    try:
        match json.loads(body or b"{}"):
            case {"CollectionId": str(name)} if target.rpartition(".")[2] in ON_A_COLLECTION:
                return f"arn:aws:rekognition:{region}:{account}:collection/{name}"
    except ValueError:
        pass
    return "*"


def facts_about_caller(headers: dict, body: bytes, query: dict) -> dict[str, str]:
    """What the endpoint can't know by itself: who calls, and what IAM lets them do with what they name."""
    from ministack.core.iam_evaluator import caller_arn, enforce
    from ministack.core.responses import get_account_id, get_region
    from ministack.core.router import extract_access_key_id

    region = get_region()
    facts = {
        "X-Rekognition-Local-Account": get_account_id(),
        "X-Rekognition-Local-Region": region,
        "X-Rekognition-Local-Caller": caller_arn(),
    }
    try:
        request = json.loads(body or b"{}")
    except ValueError:
        return facts
    access_key = extract_access_key_id(headers, query)

    def may(action: str, resource: str, context: dict[str, str] | None = None) -> bool:
        return enforce(access_key, action, action.partition(":")[0], region, resource, context) is None

    match request:
        case {"Video": {"S3Object": {"Bucket": str(bucket), "Name": str(name)} as named}} | {
            "Image": {"S3Object": {"Bucket": str(bucket), "Name": str(name)} as named}
        }:
            read = "s3:GetObjectVersion" if named.get("Version") else "s3:GetObject"
            facts["X-Rekognition-Local-May-Read"] = json.dumps(may(read, f"arn:aws:s3:::{bucket}/{name}"))
    match request:
        case {"NotificationChannel": {"RoleArn": str(role)}}:
            passed_to = {"iam:PassedToService": "rekognition.amazonaws.com"}
            facts["X-Rekognition-Local-May-Pass-Role"] = json.dumps(may("iam:PassRole", role, passed_to))
    return facts


def forward(service: str, url_file: Path, method: str, path: str, headers: dict[str, str], body: bytes):
    try:
        url = urlsplit(url_file.read_text().strip())
        connection = http.client.HTTPConnection(url.hostname, url.port, timeout=300)
        try:
            connection.request(method, url.path.rstrip("/") + path, body, headers)
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
    except (OSError, http.client.HTTPException, TypeError) as problem:
        # What a client of AWS sees when the service is down; SDKs try again by themselves.
        failure = {"__type": "InternalServerError", "Message": f"The {service} endpoint does not answer: {problem}"}
        return 500, {"Content-Type": "application/x-amz-json-1.1"}, json.dumps(failure).encode()
    return answer.status, {k: v for k, v in answer.getheaders() if k.lower() not in NOT_RETURNED}, content


if __name__ == "__main__":
    main()
