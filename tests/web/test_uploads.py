"""Uploads go straight to the storage: whole, bounded, and without a trace when they break off."""

from __future__ import annotations

import io
import os
import random
import tempfile
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from proofreel.adapters.storage import any_version
from proofreel.core.names import NAME_LIMIT_BYTES
from proofreel.web import uploads
from tests.web.helpers import (
    AUTH,
    KEY,
    MAX_UPLOAD_BYTES,
    SOUND,
    Site,
    body,
    form,
    open_site,
    problem,
    sha256,
)

HEAD = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
TYPE = {"content_type": "multipart/form-data; boundary=b"}


class BrokenPipe:
    """A socket whose other end goes away after `data`."""

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)

    def read(self, size: int = -1) -> bytes:
        chunk = self._data.read(size)
        if not chunk:
            raise ConnectionResetError
        return chunk


def send(site: Site, raw: bytes, length: int | None = None, path: str = "/upload") -> TestResponse:
    stated = {"CONTENT_LENGTH": str(len(raw) if length is None else length)}
    stream = io.BytesIO(raw)
    return site.post(path, input_stream=stream, environ_overrides=stated, **TYPE)


def with_file(data: bytes) -> bytes:
    return HEAD + data + b"\r\n--b--\r\n"


def test_every_byte_arrives_whatever_is_in_it(site: Site) -> None:
    noise = random.Random(7).randbytes(300_000)
    for data in (
        noise,
        b"\r\n--\r\n-b\r\n--bb" * 20_000,  # nearly the boundary, again and again
        b"x--b\r\n" + noise + b"\r\n\r",
        b"\r" * 150_000 + b"\n" * 150_000,
        b"x",
    ):
        answer = send(site, with_file(data))
        assert answer.status_code == 200, answer.text
        stored = site.services.storage.read_bytes(any_version(body(answer)["filename"]))
        assert sha256(stored) == sha256(data)


def test_a_large_upload_takes_little_memory(tmp_path: Path) -> None:
    raw = tmp_path / "body"
    size = 40_000_000
    with raw.open("wb") as out:
        out.write(HEAD)
        out.write(random.Random(1).randbytes(1_000_000) * 40)
        out.write(b"\r\n--b--\r\n")
    with open_site(tmp_path, max_upload_bytes=size) as site, raw.open("rb") as stream:
        tracemalloc.start()
        stated = {"CONTENT_LENGTH": str(raw.stat().st_size)}
        answer = site.post("/upload", input_stream=stream, environ_overrides=stated, **TYPE)
        _, peak_bytes = tracemalloc.get_traced_memory()
        tracemalloc.stop()

    assert answer.status_code == 200
    assert peak_bytes < 8_000_000


def test_an_upload_without_a_file_is_refused(site: Site) -> None:
    answers = [
        site.post("/upload"),
        site.post("/upload", json={"file": "x"}),
        site.post("/upload", data={"file": "a field, not a file"}, content_type=None),
        site.post("/upload", data={"other": (io.BytesIO(SOUND), "a.wav")}),
        site.post("/upload", data={"file": (io.BytesIO(b""), "")}),
        site.post("/upload", data=b"x", content_type="multipart/form-data"),
        site.post("/upload", data=b"x", content_type="multipart/form-data; boundary=é"),
        send(site, b"--b--\r\n"),
    ]

    assert [problem(answer) for answer in answers] == [(400, "file_missing")] * len(answers)
    assert site.stored() == set()


def test_an_empty_file_is_refused(site: Site) -> None:
    assert problem(site.post("/upload", data=form(b""))) == (400, "file_empty")
    assert problem(site.post("/v1/jobs", data=form(b""))) == (400, "file_empty")
    assert site.stored() == set()


def test_two_files_at_once_are_refused(site: Site) -> None:
    answer = site.post("/upload", data={"file": [(io.BytesIO(SOUND), n) for n in ("a", "b")]})

    assert problem(answer) == (400, "file_repeated")
    assert site.stored() == set()


@pytest.mark.parametrize("keep", [0, 1, 30, len(HEAD), len(HEAD) + 5_000, -9, -3])
def test_a_body_that_ends_too_early_leaves_nothing(site: Site, keep: int) -> None:
    raw = with_file(b"x" * 9_000)

    answer = send(site, raw[:keep], length=len(raw))

    assert answer.status_code == 400
    assert site.stored() == set()


def test_a_connection_that_breaks_leaves_nothing(site: Site) -> None:
    stream = BrokenPipe(HEAD + os.urandom(500_000))

    answer = site.post(
        "/upload",
        environ_overrides={
            "CONTENT_LENGTH": "2000000",
            "wsgi.input": stream,
            "wsgi.input_terminated": True,
        },
        input_stream=io.BytesIO(),
        **TYPE,
    )

    assert problem(answer) == (400, "upload_broken")
    assert site.stored() == set()


def test_the_limit_holds_for_the_stated_length(site: Site) -> None:
    answer = send(site, HEAD, length=MAX_UPLOAD_BYTES + 2_000_000)

    assert problem(answer) == (413, "file_too_large")


def test_the_limit_holds_where_no_length_is_stated(site: Site) -> None:
    raw = with_file(b"x" * (MAX_UPLOAD_BYTES + 1))

    answer = site.post(
        "/upload",
        environ_overrides={
            "CONTENT_LENGTH": "",
            "HTTP_TRANSFER_ENCODING": "chunked",
            "wsgi.input_terminated": True,
        },
        input_stream=io.BytesIO(raw),
        **TYPE,
    )

    assert problem(answer) == (413, "file_too_large")
    assert site.stored() == set()


def test_a_file_of_exactly_the_limit_is_taken(site: Site) -> None:
    assert send(site, with_file(b"x" * MAX_UPLOAD_BYTES)).status_code == 200


def test_an_upload_that_would_fill_the_disk_is_refused_before_it_is_read(tmp_path: Path) -> None:
    with open_site(tmp_path, min_free_bytes=1 << 62) as site:
        answer = site.post("/upload", data=form())

        assert problem(answer) == (507, "storage_full")
        assert int(answer.headers["Retry-After"]) > 0
        assert site.stored() == set()


def test_a_disk_that_fills_up_meanwhile_stops_the_upload(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "_ROOM_CHECK_BYTES", 1_000_000)
    free = iter([1 << 40, 1 << 40, -1])
    monkeypatch.setattr(type(site.services.storage), "free_bytes", lambda _: next(free))

    answer = send(site, with_file(b"x" * 2_900_000))

    assert problem(answer) == (507, "storage_full")
    assert site.stored() == set()


def test_forms_with_too_many_or_too_long_parts_are_refused(site: Site) -> None:
    part = b'--b\r\nContent-Disposition: form-data; name="n"\r\n\r\n%b\r\n'

    many = send(site, part % b"v" * 101 + b"--b--\r\n")
    long = send(site, part % (b"v" * 600_000) + b"--b--\r\n")
    header = send(site, b"--b\r\nX: " + b"v" * 600_000)
    after = send(site, HEAD + SOUND + b"\r\n" + part % (b"v" * 600_000) + b"--b--\r\n")

    assert [many.status_code, long.status_code, header.status_code] == [413, 400, 413]
    assert after.status_code == 400
    assert site.stored() == set()


@pytest.mark.parametrize(
    "raw",
    [
        b"--b\r\n\r\nno headers\r\n--b--\r\n",
        b"--b\r\nContent-Disposition: form-data; name=\xff\r\n\r\nx\r\n--b--\r\n",
        b"not multipart at all",
        b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n",
    ],
)
def test_a_form_that_makes_no_sense_is_a_400(site: Site, raw: bytes) -> None:
    assert send(site, raw).status_code == 400


@pytest.mark.parametrize("path", ["/check_api_key", "/convert_and_transcribe", "/v1/jobs"])
@pytest.mark.parametrize("kind", ["application/json", "application/x-www-form-urlencoded"])
def test_only_uploads_may_be_large(site: Site, path: str, kind: str) -> None:
    answer = site.post(path, data=b" " * 2_000_000, content_type=kind)

    takes_it = kind == "application/json" or path != "/v1/jobs"
    assert answer.status_code == (413 if takes_it else 400)


HOSTILE = st.one_of(
    st.text(max_size=300),
    st.sampled_from(
        [
            "../../../../tmp/evil",
            "..\\..\\evil.exe",
            "/etc/cron.d/evil",
            "C:\\evil",
            "a/../../b.wav",
            "CON.wav",
            "x\0.wav",
            ".ssh/authorized_keys",
            "evil\u202egpj.exe",
            "<script>alert(1)</script>.wav",
            "a" * 4096,
            "日本語の録音.mp3",
        ]
    ),
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(label=HOSTILE)
def test_no_name_puts_a_file_anywhere_but_in_its_own_folder(site: Site, label: str) -> None:
    clean = label.replace('"', "%22").replace("\r", "").replace("\n", "").replace("\\", "\\\\")
    raw = HEAD.replace(b"a.wav", clean.encode(errors="replace")) + SOUND + b"\r\n--b--\r\n"
    before = {path for path in site.folder.parent.rglob("*") if "files" not in path.parts}

    answer = send(site, raw)

    if answer.status_code == 400:  # an empty name is no file; nothing else is refused
        assert problem(answer)[1] in ("file_missing", "multipart_invalid")
        return
    key = body(answer)["filename"]
    folder, upload_id, name = key.split("/")
    assert (folder, len(upload_id)) == ("uploads", 32)
    assert 0 < len(name.encode()) <= NAME_LIMIT_BYTES
    assert site.services.storage.read_bytes(any_version(key)) == SOUND
    after = {path for path in site.folder.parent.rglob("*") if "files" not in path.parts}
    assert {path.name for path in after - before} <= {"web.sqlite-wal", "web.sqlite-shm"}


def test_no_temporary_file_is_made_beside_the_storage(
    site: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    nowhere = tmp_path / "no such folder"
    monkeypatch.setattr(tempfile, "tempdir", str(nowhere))

    assert send(site, with_file(b"x" * 1_000_000)).status_code == 200


def test_an_upload_can_be_fetched_only_by_its_exact_name_and_with_a_key(site: Site) -> None:
    key = body(site.post("/upload", data=form(name="a b.mp3")))["filename"]
    path = f"/v1/{key}"

    fetched = site.get(path)
    assert fetched.data == SOUND
    assert fetched.headers["Content-Type"] == "audio/mpeg"
    assert fetched.headers["ETag"] == f'"{sha256(SOUND)}"'
    assert site.client.get(path).status_code == 401
    assert site.client.get(path, headers=AUTH | {"Authorization": KEY}).status_code == 200
    for other in (f"{path}x", f"{path}.sha256", f"{path}/..", path.replace("uploads", "jobs")):
        assert site.get(other).status_code == 404, other
