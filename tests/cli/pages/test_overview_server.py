"""Who may ask the overview's server for what, and what they get. Spoken to by hand, as no browser would."""

import http.client
import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

import pytest

from cli.pages import server
from cli.pages.server import MOST_SHOWN, Site, video_file
from tests.cli.pages import documents
from tests.cli.pages.fake import FakeBackend

HOSTS = ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "0.0.0.0:{port}", "[::1]:{port}", ""]


@pytest.fixture
def backend() -> FakeBackend:
    fake = FakeBackend()
    fake.videos["a b/clip.mp4"] = bytes(range(256)) * 40
    fake.job("a b/clip.mp4", "SUCCEEDED", detections=17)
    fake.results = documents.all_seven()
    return fake


@pytest.fixture
def site(backend: FakeBackend) -> Iterator[Site]:
    with Site(backend) as site:
        yield site


class Answer:
    def __init__(self, answer: http.client.HTTPResponse) -> None:
        self.status = answer.status
        self.headers = answer.headers
        self.body = answer.read()

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def ask(site: Site, path: str, method: str = "GET", body: bytes | None = None, **headers: str) -> Answer:
    """As the page itself would; a header given as "" is left out."""
    usual = {"Host": f"127.0.0.1:{site.port}", "Cookie": f"videos-{site.port}={site.secret}"}
    if method != "GET":
        usual |= {"Origin": site.origin, "Sec-Fetch-Site": "same-origin"}
    given = usual | {name.replace("_", "-"): value for name, value in headers.items()}
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=10)
    connection.putrequest(method, path, skip_host=True)
    for name, value in given.items():
        if value:
            connection.putheader(name, value)
    if body is not None:
        connection.putheader("Content-Length", str(len(body)))
    connection.endheaders()
    if body:
        connection.send(body)
    return Answer(connection.getresponse())


PATHS = ["/", "/api/videos", "/video?key=a%20b/clip.mp4", "/media?key=a%20b/clip.mp4"]


@pytest.mark.parametrize("path", PATHS)
def test_nothing_is_said_to_whoever_lacks_the_secret(site: Site, path: str) -> None:
    assert ask(site, path, Cookie="").status == 403
    assert ask(site, path, Cookie=f"videos-{site.port}=guess").status == 403
    assert ask(site, path).status == 200


def token_of(site: Site) -> str:
    return site.login_url().partition("?token=")[2]


def test_a_token_becomes_a_cookie_that_scripts_and_other_sites_never_see(site: Site) -> None:
    token = token_of(site)

    answer = ask(site, f"/?token={token}", Cookie="")

    assert answer.status == 200
    cookie, *attributes = answer.headers["Set-Cookie"].split("; ")
    assert attributes == ["HttpOnly", "SameSite=Strict", "Path=/"]
    assert token not in cookie + answer.body.decode()
    assert ask(site, "/", Cookie=cookie).status == 200
    assert ask(site, "/", Cookie=f"videos-{site.port}={token}").status == 403


def test_a_token_is_taken_once(site: Site) -> None:
    token = token_of(site)

    assert [ask(site, f"/?token={token}", Cookie="").status for _ in range(3)] == [200, 403, 403]


def test_a_token_is_taken_for_a_short_time(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "TOKEN_SECONDS", 0.05)
    token = token_of(site)
    time.sleep(0.1)

    assert ask(site, f"/?token={token}", Cookie="").status == 403


@pytest.mark.parametrize("guess", ["", "wrong", "%00", "{secret}"])
def test_a_guess_is_no_token_and_uses_none_up(site: Site, guess: str) -> None:
    token = token_of(site)

    assert ask(site, f"/?token={guess.format(secret=site.secret)}", Cookie="").status == 403
    assert ask(site, f"/?token={token}", Cookie="").status == 200


def test_of_many_who_bring_one_token_at_once_one_is_let_in(site: Site) -> None:
    token = token_of(site)

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: ask(site, f"/?token={token}", Cookie="").status, range(16)))

    assert sorted(found) == [200] + [403] * 15


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("path", PATHS)
def test_a_foreign_name_is_refused_secret_or_not(site: Site, path: str, host: str) -> None:
    assert ask(site, path, Host=host.format(port=site.port)).status in (400, 421)
    assert ask(site, f"/?token={token_of(site)}", Host=host.format(port=site.port), Cookie="").status in (400, 421)


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
    ],
)
@pytest.mark.parametrize("path", PATHS)
def test_another_pages_requests_are_refused_cookie_or_not(site: Site, path: str, headers: dict[str, str]) -> None:
    assert ask(site, path, **headers).status == 403


def test_an_upload_needs_the_pages_own_origin(site: Site, backend: FakeBackend) -> None:
    assert ask(site, "/api/upload?key=x.mp4", "PUT", b"x", Origin="").status == 403
    assert ask(site, "/api/upload?key=x.mp4", "PUT", b"x", Origin="http://evil.example").status == 403
    assert ask(site, "/api/upload?key=x.mp4", "POST", b"x").status == 501
    assert "x.mp4" not in backend.videos


def test_it_listens_here_alone(backend: FakeBackend) -> None:
    with pytest.raises(ValueError, match=r"127\.0\.0\.1"):
        Site(backend, host="0.0.0.0")


def test_answers_may_not_be_framed_sniffed_or_kept(site: Site) -> None:
    for path in PATHS:
        headers = ask(site, path).headers
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
    assert ask(site, "/media?key=a%20b/clip.mp4").headers["Content-Security-Policy"] == "default-src 'none'; sandbox"


@pytest.mark.parametrize("key", ["clip.mp4", "a//b.mp4", "../up.mov", "日本語 &?#%+'\".MP4", "x" * 1020 + ".mp4"])
def test_what_is_uploaded_is_there_under_that_very_key(site: Site, backend: FakeBackend, key: str) -> None:
    body = b"video" * 300_000

    answer = ask(site, f"/api/upload?key={quote(key, safe='')}", "PUT", body)

    assert (answer.status, answer.json) == (201, {"key": key})
    assert backend.videos[key] == body
    assert key in [video["key"] for video in ask(site, "/api/videos").json["videos"]]


@pytest.mark.parametrize(
    ("key", "status"), [("notes.txt", 415), ("", 400), ("folder/", 415), ("x" * 1021 + ".mp4", 400), ("mp4", 415)]
)
def test_what_is_no_video_is_refused_with_a_sentence(site: Site, key: str, status: int) -> None:
    answer = ask(site, f"/api/upload?key={quote(key, safe='')}", "PUT", b"x" * 5_000_000)

    assert answer.status == status
    assert answer.json["error"].endswith(".")


def test_a_video_that_is_there_is_replaced_only_when_that_is_said(site: Site, backend: FakeBackend) -> None:
    before = backend.videos["a b/clip.mp4"]
    assert ask(site, "/api/upload?key=a%20b/clip.mp4", "PUT", b"other").status == 409
    assert backend.videos["a b/clip.mp4"] == before

    assert ask(site, "/api/upload?key=a%20b/clip.mp4&replace=1", "PUT", b"other").status == 201
    assert backend.videos["a b/clip.mp4"] == b"other"


def test_an_upload_that_breaks_off_leaves_nothing(site: Site, backend: FakeBackend) -> None:
    head = f"PUT /api/upload?key=cut.mp4 HTTP/1.1\r\nHost: 127.0.0.1:{site.port}\r\nOrigin: {site.origin}\r\n"
    head += f"Cookie: videos-{site.port}={site.secret}\r\nContent-Length: 1000\r\n\r\n"
    with socket.create_connection(("127.0.0.1", site.port)) as connection:
        connection.sendall(head.encode() + b"x" * 500)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(4096):
            pass

    assert "cut.mp4" not in backend.videos
    assert ask(site, "/api/videos").status == 200


@pytest.mark.parametrize(
    ("wanted", "status", "first", "length"),
    [
        ("", 200, 0, 10_240),
        ("bytes=0-", 206, 0, 10_240),
        ("bytes=100-199", 206, 100, 100),
        ("bytes=10000-99999", 206, 10_000, 240),
        ("lines=1-2", 200, 0, 10_240),
        ("bytes=1-2,5-6", 200, 0, 10_240),
    ],
)
def test_videos_come_by_ranges(site: Site, wanted: str, status: int, first: int, length: int) -> None:
    answer = ask(site, "/media?key=a%20b/clip.mp4", Range=wanted)

    assert (answer.status, len(answer.body)) == (status, length)
    assert answer.body == (bytes(range(256)) * 40)[first : first + length]
    assert answer.headers["Content-Type"] == "video/mp4"
    if status == 206:
        assert answer.headers["Content-Range"] == f"bytes {first}-{first + length - 1}/10240"


def test_a_range_beyond_the_end_and_a_video_that_is_gone_are_said(site: Site) -> None:
    assert ask(site, "/media?key=a%20b/clip.mp4", Range="bytes=10240-").status == 416
    assert ask(site, "/media?key=gone.mp4").status == 404
    assert ask(site, "/video?key=gone.mp4").status == 404
    assert ask(site, "/nothing").status == 404


def test_a_video_of_the_backend_can_be_read_like_a_file(backend: FakeBackend) -> None:
    file = video_file(backend, "a b/clip.mp4", patience=10)

    assert file.seek(-6, 2) == 10_234
    assert file.read() == b"\xfa\xfb\xfc\xfd\xfe\xff"
    file.seek(255)
    assert file.read(3) == b"\xff\x00\x01"


def test_the_table_is_read_once_for_many_who_ask(site: Site, backend: FakeBackend) -> None:
    for _ in range(20):
        ask(site, "/api/videos")

    assert backend.looks <= 3


def test_what_aws_refuses_is_said_and_the_server_goes_on(site: Site, backend: FakeBackend) -> None:
    backend.trouble = RuntimeError("ExpiredToken: the credentials have expired")

    answer = ask(site, "/api/videos")

    assert answer.status == 502
    assert "ExpiredToken" in answer.json["error"]
    backend.trouble = None
    assert ask(site, "/api/videos").status == 200


def test_only_so_many_videos_are_sent_and_the_search_finds_the_others(site: Site, backend: FakeBackend) -> None:
    for number in range(1000):
        backend.job(f"clip-{number}.mp4", "WAITING" if number % 2 else "FAILED")

    found = ask(site, "/api/videos").json
    assert (len(found["videos"]), found["matching"]) == (MOST_SHOWN, 1001)
    assert found["counts"] == {"WAITING": 500, "FAILED": 500, "SUCCEEDED": 1}
    assert found["backlog"]["waiting"] == 500

    assert [v["key"] for v in ask(site, "/api/videos?search=CLIP-77.").json["videos"]] == ["clip-77.mp4"]
    assert ask(site, "/api/videos?search=CLIP-77&state=FAILED").json["matching"] == 5


def test_of_a_replaced_video_only_the_newest_upload_counts(site: Site, backend: FakeBackend) -> None:
    backend.job("twice.mp4", "FAILED", etag="old", sequencer="1", reason="Unsupported codec/format.")
    backend.job("twice.mp4", "SUCCEEDED", etag="new", sequencer="2")

    [video] = ask(site, "/api/videos?search=twice").json["videos"]

    assert video["state"] == "SUCCEEDED"
    assert len(video["jobs"]) == 1
