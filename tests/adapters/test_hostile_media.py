"""Files made to harm: none reads a neighbour, calls a server, hangs, or fails untyped.

The sandbox is switched off where the point is that the list of formats suffices without it.
"""

from __future__ import annotations

import random
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from proofreel.adapters.ffmpeg import Media
from proofreel.adapters.ffmpeg_args import MediaLimits
from proofreel.adapters.media_errors import MediaEmpty, MediaFormatRefused, MediaUnreadable
from proofreel.core.model import AudioStream, MediaInfo, VideoStream
from proofreel.core.scaling import PictureTarget, ScalePlan, SoundTarget
from proofreel.errors import MediaError, ProofreelError
from tests.media_samples import ffmpeg_path, make, make_cut, make_sound, make_video

CLAIMED = MediaInfo(
    "mp3", 5000, VideoStream("h264", 160, 120, 0, 25.0), AudioStream("mp3", 44_100, 1)
)
PLAN = ScalePlan(
    10**6, 10**6, 0.03, PictureTarget(160, 120, 25.0, 200_000), SoundTarget(64_000, 1, 44_100)
)


@dataclass
class Canary:
    """A server and a neighbour's recording that nobody may touch."""

    url: str
    neighbour: Path
    calls: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def running_canary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Canary]:
    folder = tmp_path_factory.mktemp("neighbour")
    neighbour = make_video(folder / "secret.mp4")
    sound = make_sound(folder / "secret.ts", codec="mp2")
    calls: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            calls.append(self.path)
            body = sound.read_bytes()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield Canary(f"http://127.0.0.1:{server.server_port}", neighbour, calls)
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def canary(running_canary: Canary) -> Canary:
    running_canary.calls.clear()
    return running_canary


def outcome(media: Media, source: Path, target: Path) -> int | MediaError:
    """Return the length of the sound taken out, in ms, or the error; any other error is let out."""
    try:
        return media.extract_audio(source, target, media.probe(source))
    except MediaError as error:
        return error


LURES = {
    "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{target}\n#EXT-X-ENDLIST\n",
    "hls-blank-lines": "\ufeff\n\n#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{target}\n",
    "hls-key": '#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI="{target}"\n#EXTINF:9,\n{target}\n',
    "ffconcat": "ffconcat version 1.0\nfile '{target}'\n",
    "ffconcat-option": "ffconcat version 1.0\noption safe 0\nfile {target}\nduration 1\n",
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 9 RTP/AVP 0\n",
    "dash": '<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
    'profiles="urn:mpeg:dash:profile:isoff-on-demand:2011" mediaPresentationDuration="PT5S">'
    '<Period><AdaptationSet mimeType="audio/mp4"><Representation id="1" bandwidth="1">'
    "<BaseURL>{target}</BaseURL></Representation></AdaptationSet></Period></MPD>",
    "imf": '<?xml version="1.0"?><CompositionPlaylist xmlns="http://www.smpte-ra.org/schemas/'
    '2067-3/2016"><Id>{target}</Id></CompositionPlaylist>',
    "pls": "[playlist]\nFile1={target}\nNumberOfEntries=1\n",
    "asx": '<asx version="3.0"><entry><ref href="{target}"/></entry></asx>',
    "smil": '<smil><body><audio src="{target}"/></body></smil>',
    "mpsub": "FORMAT=TIME\n1 2\n{target}\n",
    "mpl2": "[10][50]{target}\n",
    "svg": '<svg xmlns="http://www.w3.org/2000/svg"><image href="{target}" width="9"/></svg>',
    "ffmetadata": ";FFMETADATA1\ntitle={target}\n",
    "text": "{target}\n",
}  # fmt: skip


@pytest.mark.parametrize("suffix", ["mp3", "m3u8"])
@pytest.mark.parametrize("kind", LURES)
def test_a_file_that_names_others_is_refused_and_nothing_is_fetched(
    canary: Canary, tmp_path: Path, kind: str, suffix: str
) -> None:
    media = Media(ffmpeg_path(), MediaLimits(confine=False))

    for target in (f"{canary.url}/secret.ts", f"file:{canary.neighbour}", str(canary.neighbour)):
        lure = tmp_path / f"evil.{suffix}"
        lure.write_text(LURES[kind].format(target=target))
        with pytest.raises(MediaError) as caught:
            media.probe(lure)
        assert isinstance(caught.value, MediaFormatRefused | MediaUnreadable)

    assert canary.calls == []


@pytest.mark.parametrize("kind", ["hls", "ffconcat", "dash", "sdp"])
def test_well_known_lists_are_called_what_they_are(tmp_path: Path, kind: str) -> None:
    lure = tmp_path / "evil.mp3"
    lure.write_text(LURES[kind].format(target="a.ts"))

    with pytest.raises(MediaFormatRefused, match="not a playlist"):
        Media(ffmpeg_path()).probe(lure)


@pytest.mark.parametrize("suffix", ["mp3", "m3u8"])
@pytest.mark.parametrize("kind", ["hls", "hls-key", "ffconcat", "ffconcat-option", "dash"])
def test_a_playlist_that_got_past_the_probe_still_reads_nothing(
    canary: Canary, tmp_path: Path, kind: str, suffix: str
) -> None:
    media = Media(ffmpeg_path(), MediaLimits(confine=False))
    lure, sound, copy = tmp_path / f"evil.{suffix}", tmp_path / "out.wav", tmp_path / "out.mp4"
    shutil.copy(canary.neighbour, tmp_path / "beside.mp4")

    for target in (f"{canary.url}/secret.ts", f"file:{canary.neighbour}", "beside.mp4"):
        lure.write_text(LURES[kind].format(target=target))
        with pytest.raises(MediaError):
            media.extract_audio(lure, sound, CLAIMED)
        with pytest.raises(ProofreelError):
            media.scale(lure, copy, PLAN, CLAIMED)

    assert canary.calls == []
    assert not sound.exists()
    assert not copy.exists()


def test_a_film_that_keeps_its_samples_in_another_file_gets_none(
    canary: Canary, tmp_path: Path
) -> None:
    """QuickTime's data reference may name a file; FFmpeg follows it only when told to."""
    own = bytearray(canary.neighbour.read_bytes())
    at = own.index(b"url \0\0\0\1")
    own[at + 4 : at + 8] = b"\0\0\0\0"  # not "in this file" any more
    lure = tmp_path / "evil.mp4"
    lure.write_bytes(own)
    media = Media(ffmpeg_path())

    outcome(media, lure, tmp_path / "out.wav")

    assert canary.calls == []


@pytest.mark.parametrize("name", ["a.mp3", "a.m4a", "a.ogg", "a.flac", "a.wav", "a.mkv", "a.ts"])
@pytest.mark.parametrize("percent", [0, 1, 16, 50, 99])
def test_a_file_cut_short_gives_what_is_there_or_a_typed_error(
    tmp_path: Path, name: str, percent: int
) -> None:
    media = Media(ffmpeg_path())
    whole = make_sound(tmp_path / name, duration_s=4)
    cut = make_cut(whole, tmp_path / f"cut-{name}", percent=percent)

    result = outcome(media, cut, tmp_path / "out")

    if isinstance(result, MediaError):
        assert percent < 50 or name == "a.m4a"  # whose index is at its end
        assert not result.retryable
        assert (percent == 0) == isinstance(result, MediaEmpty)
    else:
        assert 0 < result <= 4150 * (percent + 5) / 100


@pytest.mark.parametrize("seed", range(24))
def test_flipped_bits_give_sound_or_a_typed_error(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    name = chance.choice(["a.mp4", "a.mkv", "a.ts", "a.avi", "a.webm", "a.flv"])
    data = bytearray(make_video(tmp_path / name, duration_s=1, size="64x64").read_bytes())
    region = min(len(data), chance.choice([600, 4000, len(data)]))
    for _ in range(chance.choice([1, 10, 100])):
        data[chance.randrange(region)] ^= 1 << chance.randrange(8)
    mutant = tmp_path / f"mutant-{name}"
    mutant.write_bytes(data)
    media = Media(ffmpeg_path(), MediaLimits(extract_timeout_s=20))

    result = outcome(media, mutant, tmp_path / "out")

    assert isinstance(result, MediaError) or result > 0


def test_a_cover_too_large_to_decode_does_not_keep_the_sound_from_us(tmp_path: Path) -> None:
    media = Media(ffmpeg_path(), MediaLimits(memory_bytes=1 << 30))
    cover = make(
        tmp_path / "c.png", "-f", "lavfi", "-i", "color=red:s=7000x6000", "-frames:v", "1",
        "-pred", "none",
    )  # fmt: skip
    sound = make_sound(tmp_path / "a.mp3")
    source = make(
        tmp_path / "b.mp3", "-i", str(sound), "-i", str(cover), "-map", "0:a", "-map", "1:v",
        "-c", "copy", "-disposition:v:0", "attached_pic",
    )  # fmt: skip

    info = media.probe(source)

    assert info.video is None
    assert media.extract_audio(source, tmp_path / "out", info) == pytest.approx(2000, abs=80)


def test_a_recording_that_is_two_things_at_once_is_only_sound_to_us(tmp_path: Path) -> None:
    page = b"<script>alert(1)</script>"
    source = make_sound(tmp_path / "a.mp3")
    source.write_bytes(source.read_bytes() + page)
    media = Media(ffmpeg_path())

    media.extract_audio(source, tmp_path / "out", media.probe(source))

    assert page not in (tmp_path / "out").read_bytes()


def test_titles_and_places_do_not_travel_into_results(tmp_path: Path) -> None:
    tags = ("-metadata", "title=canary-title", "-metadata", "location=+48.1+011.5/")
    source = make_video(tmp_path / "a.mp4", size="320x240", args=tags)
    media = Media(ffmpeg_path())
    info = media.probe(source)
    assert b"canary-title" in source.read_bytes()

    media.extract_audio(source, tmp_path / "out.wav", info)
    media.scale(source, tmp_path / "out.mp4", PLAN, info)

    for result in ("out.wav", "out.mp4"):
        data = (tmp_path / result).read_bytes()
        assert b"canary-title" not in data
        assert b"+48.1" not in data


@pytest.mark.parametrize("rate_hz", [1, 3, 4_000_000, 2**31 - 1])
def test_absurd_sample_rates_do_no_harm(tmp_path: Path, rate_hz: int) -> None:
    source = make_sound(tmp_path / "a.wav")
    data = bytearray(source.read_bytes())
    data[24:28] = np.uint32(rate_hz).tobytes()
    source.write_bytes(data)
    media = Media(ffmpeg_path(), MediaLimits(max_duration_ms=600_000, memory_bytes=1 << 30))

    result = outcome(media, source, tmp_path / "out")

    assert isinstance(result, MediaError) or 0 < result < 600_000


def test_a_name_that_looks_like_an_option_or_an_address_is_only_a_name(tmp_path: Path) -> None:
    media = Media(ffmpeg_path())
    for name in ("-i.wav", "http:x.wav", "concat:a|b.wav", "a%03d.wav", 'it\'s a "name".wav'):
        source = make_sound(tmp_path / "plain.wav", duration_s=0.5).rename(tmp_path / name)
        assert media.extract_audio(source, tmp_path / "out", media.probe(source)) == 500
