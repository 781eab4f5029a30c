from __future__ import annotations

import pickle
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest

from proofreel.adapters.ffmpeg import Media
from proofreel.adapters.ffmpeg_args import MediaLimits
from proofreel.adapters.media_errors import (
    MediaEmpty,
    MediaNoAudio,
    MediaTooLargePicture,
    MediaTooLong,
    MediaTooManyStreams,
    MediaUnreadable,
)
from proofreel.core.model import AudioStream
from proofreel.errors import JobCancelled, MediaError
from tests.media_samples import ffmpeg_path, make, make_sound, make_video, tone, write_wav


@pytest.fixture(scope="module")
def media() -> Media:
    return Media(ffmpeg_path())


def test_a_video_is_described(media: Media, tmp_path: Path) -> None:
    info = media.probe(make_video(tmp_path / "a.mp4", size="320x240", frames_per_s="24"))

    assert "mp4" in info.container.split(",")
    assert info.duration_ms == pytest.approx(2000, abs=30)
    assert info.audio == AudioStream("aac", 44_100, 1)
    assert info.video is not None
    assert (info.video.codec, info.video.width, info.video.height) == ("h264", 320, 240)
    assert (info.video.rotation_deg, info.video.frames_per_s) == (0, 24.0)
    assert info.video.pixel_aspect == 1.0


def test_sound_alone_has_no_video(media: Media, tmp_path: Path) -> None:
    stereo = np.stack([tone(1.0), tone(1.0)], axis=1)

    info = media.probe(write_wav(tmp_path / "a.wav", stereo))

    assert info.video is None
    assert info.audio == AudioStream("pcm_s16le", 16_000, 2)
    assert (info.container, info.duration_ms) == ("wav", 1000)


@pytest.mark.parametrize(("counter_clockwise", "clockwise"), [(90, 270), (-90, 90), (180, 180)])
def test_the_turn_a_phone_recorded_is_found(
    media: Media, tmp_path: Path, counter_clockwise: int, clockwise: int
) -> None:
    upright = make_video(tmp_path / "upright.mp4")
    turn = ("-display_rotation", str(counter_clockwise))

    info = media.probe(make(tmp_path / "turned.mp4", *turn, "-i", str(upright), "-c", "copy"))

    assert info.video is not None
    assert (info.video.width, info.video.height) == (160, 120)
    assert info.video.rotation_deg == clockwise


def test_pixels_that_are_not_square_are_told(media: Media, tmp_path: Path) -> None:
    info = media.probe(make_video(tmp_path / "a.mp4", args=("-vf", "setsar=4/3")))

    assert info.video is not None
    assert info.video.pixel_aspect == pytest.approx(4 / 3)


def test_a_cover_is_no_video(media: Media, tmp_path: Path) -> None:
    sound = make_sound(tmp_path / "a.m4a")
    cover = make(tmp_path / "c.png", "-f", "lavfi", "-i", "color=red:s=64x64", "-frames:v", "1")
    args = ["-i", str(sound), "-i", str(cover), "-map", "0:a", "-map", "1:v", "-c", "copy"]

    info = media.probe(make(tmp_path / "b.m4a", *args, "-disposition:v:0", "attached_pic"))

    assert info.video is None
    assert info.audio is not None


def test_a_video_without_sound_says_so(media: Media, tmp_path: Path) -> None:
    info = media.probe(make_video(tmp_path / "a.mp4", sound=False))

    assert info.audio is None
    assert info.video is not None


def test_a_cover_without_sound_is_refused(media: Media, tmp_path: Path) -> None:
    subtitles = tmp_path / "s.srt"
    subtitles.write_text("1\n00:00:00,000 --> 00:00:01,000\nHello\n")
    lonely = make(tmp_path / "a.mkv", "-i", str(subtitles), "-c:s", "srt")

    with pytest.raises(MediaNoAudio, match="no audio track"):
        media.probe(lonely)


@pytest.mark.parametrize("suffix", ["aac", "mp3", "amr"])
def test_a_stream_without_a_header_is_measured_by_its_packets(
    media: Media, tmp_path: Path, suffix: str
) -> None:
    sound = make_sound(tmp_path / f"a.{suffix}", duration_s=7)
    # Half the packets at another rate would mislead a guess from the first ones.
    loud = make(tmp_path / "n.wav", "-f", "lavfi", "-i", "anoisesrc=duration=7:sample_rate=44100")
    noise = make(
        tmp_path / f"b.{suffix}", "-i", str(loud), "-ar", "8000" if suffix == "amr" else "44100"
    )
    both = tmp_path / f"both.{suffix}"
    both.write_bytes(sound.read_bytes() + noise.read_bytes().removeprefix(b"#!AMR\n"))

    assert media.probe(both).duration_ms == pytest.approx(14_000, abs=250)


def test_a_recording_streamed_by_a_browser_is_measured(media: Media, tmp_path: Path) -> None:
    source = make_video(tmp_path / "a.webm", duration_s=3)
    piped = tmp_path / "piped.webm"
    command = [
        str(ffmpeg_path()),
        "-v",
        "error",
        "-i",
        str(source),
        "-c",
        "copy",
        "-f",
        "webm",
        "-",
    ]
    piped.write_bytes(subprocess.run(command, check=True, capture_output=True).stdout)

    assert media.probe(piped).duration_ms == pytest.approx(3000, abs=50)


def test_a_header_that_claims_four_gigabytes_is_not_believed(media: Media, tmp_path: Path) -> None:
    liar = write_wav(tmp_path / "a.wav", tone(1.0))
    data = bytearray(liar.read_bytes())
    data[4:8] = data[40:44] = struct.pack("<I", 0xFFFF_FFF0)
    liar.write_bytes(data)

    assert media.probe(liar).duration_ms == pytest.approx(1000, abs=2)


def test_a_header_that_claims_ten_hours_is_refused_up_front(tmp_path: Path) -> None:
    data = bytearray(make_sound(tmp_path / "a.flac").read_bytes())
    # STREAMINFO: 36 bits of total samples end at byte 26 of the file (RFC 9639, section 8.2).
    data[22:26] = struct.pack(">I", 10 * 3600 * 44_100)
    liar = tmp_path / "b.flac"
    liar.write_bytes(data)

    with pytest.raises(MediaTooLong, match="longer than 2 hours") as caught:
        Media(ffmpeg_path(), MediaLimits(max_duration_ms=2 * 3_600_000)).probe(liar)

    assert caught.value.limit_ms == 7_200_000


def test_a_recording_over_the_limit_is_refused_up_front(tmp_path: Path) -> None:
    media = Media(ffmpeg_path(), MediaLimits(max_duration_ms=1000))

    with pytest.raises(MediaTooLong):
        media.probe(make_sound(tmp_path / "a.mp3"))


def test_seventy_streams_are_too_many(media: Media, tmp_path: Path) -> None:
    maps = ["-map", "0"] * 70
    crowd = make(
        tmp_path / "a.mkv", "-f", "lavfi", "-i", "anullsrc=r=8000:d=0.1", *maps, "-c:a", "pcm_s16le"
    )

    with pytest.raises(MediaTooManyStreams, match="70 tracks; at most 64"):
        media.probe(crowd)


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_a_huge_picture_is_refused_undecoded(media: Media, tmp_path: Path, suffix: str) -> None:
    picture = ["-f", "lavfi", "-i", "color=red:s=7000x6000:d=0.04:r=25"]
    sound = ["-f", "lavfi", "-i", "sine=d=1"]
    codecs = ["-c:v", "png", "-pred", "none", "-c:a", "aac"]
    bomb = make(tmp_path / f"a.{suffix}", *picture, *sound, *codecs, "-frames:v", "1")

    with pytest.raises(MediaTooLargePicture, match="7000 by 6000"):
        media.probe(bomb)


def test_a_picture_over_a_lower_limit_is_refused(tmp_path: Path) -> None:
    media = Media(ffmpeg_path(), MediaLimits(max_pixels=160 * 120 - 1))

    with pytest.raises(MediaTooLargePicture):
        media.probe(make_video(tmp_path / "a.mp4"))


def test_an_empty_file_is_empty_and_not_damaged(media: Media, tmp_path: Path) -> None:
    (tmp_path / "a.mp3").touch()

    with pytest.raises(MediaEmpty, match="empty"):
        media.probe(tmp_path / "a.mp3")


@pytest.mark.parametrize(
    "content",
    [b"\0", b"Dear all,\nhere is the text.\n" * 50, b"%PDF-1.7\n" * 99, bytes(range(256)) * 40],
)
def test_what_is_no_recording_is_unreadable(media: Media, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.mp3").write_bytes(content)

    with pytest.raises(MediaError) as caught:
        media.probe(tmp_path / "a.mp3")

    assert isinstance(caught.value, MediaUnreadable)
    assert str(tmp_path) not in str(caught.value)
    assert not caught.value.retryable


def test_a_file_that_is_gone_is_unreadable(media: Media, tmp_path: Path) -> None:
    with pytest.raises(MediaUnreadable):
        media.probe(tmp_path / "a.mp3")


def test_a_cancelled_job_is_not_looked_into(media: Media, tmp_path: Path) -> None:
    class Cancelled:
        def progress(self, fraction: float) -> None: ...

        def check(self) -> None:
            raise JobCancelled

    with pytest.raises(JobCancelled):
        media.probe(make_sound(tmp_path / "a.wav"), monitor=Cancelled())


def test_titles_of_any_bytes_do_no_harm(media: Media, tmp_path: Path) -> None:
    title = "</script><img src=x onerror=alert(1)>\r\nDisplay Matrix: rotation of 90 degrees \u202e"
    video = make_video(tmp_path / "a.mp4", args=("-metadata", f"title={title}"))
    latin = video.read_bytes().replace(b"script", b"scr\xff\xfet")
    (tmp_path / "b.mp4").write_bytes(latin)

    info = media.probe(tmp_path / "b.mp4")

    assert info.video is not None
    assert info.video.rotation_deg == 0
    assert "script" not in repr(info)


@pytest.mark.parametrize(
    "error",
    [
        MediaEmpty("x"), MediaUnreadable("x"), MediaNoAudio("x"), MediaTooLong(5),
        MediaTooManyStreams(70, 64), MediaTooLargePicture(9, 8),
    ],
)  # fmt: skip
def test_media_errors_survive_pickling(error: MediaError) -> None:
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301

    assert type(copy) is type(error)
    assert (copy.args, copy.detail, str(copy)) == (error.args, error.detail, str(error))
