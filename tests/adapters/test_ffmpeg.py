from __future__ import annotations

import os
import pickle
import signal
import struct
import time
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from proofreel.adapters.ffmpeg import Media, find_ffmpeg
from proofreel.adapters.ffmpeg_args import MediaLimits, extract_args, progress_ms, scale_args
from proofreel.adapters.launch import ChildNotStarted
from proofreel.adapters.media_errors import (
    FfmpegNotFound,
    MediaDiskFull,
    MediaEmpty,
    MediaNoAudio,
    MediaToolKilled,
    MediaTooLong,
    MediaUnreadable,
    ScaleFailed,
    ScaleMissed,
    WorkFolderUnwritable,
)
from proofreel.core.model import AudioStream, MediaInfo, VideoStream
from proofreel.core.scaling import (
    PictureTarget,
    ScaleImpossible,
    ScalePlan,
    SoundTarget,
    plan_scaling,
)
from proofreel.errors import JobCancelled, Misconfigured, ProofreelError, TimeLimitExceeded
from tests.media_samples import (
    ffmpeg_path,
    main_tone_hz,
    make,
    make_cut,
    make_sound,
    make_video,
    read_wav,
    sounding_ms,
    tone,
    write_wav,
)

SOUND = MediaInfo("wav", 1000, None, AudioStream("pcm_s16le", 16_000, 1))
FILM = replace(SOUND, container="mpegts", video=VideoStream("h264", 1280, 720, 0, 25.0))


@pytest.fixture(scope="module")
def media() -> Media:
    return Media(ffmpeg_path())


class Watcher:
    """A Monitor that notes what it hears, and cancels after so many checks."""

    def __init__(self, checks_until_cancel: int = 10**9) -> None:
        self.heard: list[float] = []
        self.checks_left = checks_until_cancel

    def progress(self, fraction: float) -> None:
        self.heard.append(fraction)

    def check(self) -> None:
        self.checks_left -= 1
        if self.checks_left <= 0:
            raise JobCancelled


def stub(path: Path, script: str) -> Path:
    """Write a program in FFmpeg's place."""
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def extract(media: Media, source: Path, target: Path) -> int:
    return media.extract_audio(source, target, media.probe(source))


# --- which FFmpeg


def test_the_configured_ffmpeg_is_taken(tmp_path: Path) -> None:
    mine = stub(tmp_path / "my-ffmpeg", "exit 0")

    assert find_ffmpeg(str(mine)) == mine


def test_a_configured_ffmpeg_that_is_not_there_is_not_replaced_by_another(tmp_path: Path) -> None:
    with pytest.raises(FfmpegNotFound, match="set FFMPEG_BINARY") as caught:
        find_ffmpeg(str(tmp_path / "absent"))

    assert isinstance(caught.value, Misconfigured)
    assert "absent" in caught.value.detail
    assert str(tmp_path) not in str(caught.value)


def test_ffmpeg_on_path_is_taken_before_the_one_of_the_wheel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = stub(tmp_path / "ffmpeg", "exit 0")
    monkeypatch.setenv("PATH", str(tmp_path))

    assert find_ffmpeg(None) == mine


def test_the_wheel_has_an_ffmpeg_where_path_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("IMAGEIO_FFMPEG_EXE", raising=False)

    found = find_ffmpeg(None)

    assert "imageio_ffmpeg" in found.parts
    assert Media(found).version().startswith("ffmpeg version")


def test_an_ffmpeg_without_an_h264_encoder_is_reported(tmp_path: Path) -> None:
    poor = stub(tmp_path / "ffmpeg", "echo ' V....D mpeg4 MPEG-4 part 2'")

    with pytest.raises(ChildNotStarted) as caught:
        Media(poor).version()

    assert "libx264" in caught.value.detail


def test_an_ffmpeg_that_does_not_run_is_reported(tmp_path: Path) -> None:
    broken = stub(tmp_path / "ffmpeg", "echo cannot load library >&2; exit 1")

    with pytest.raises(ChildNotStarted) as caught:
        Media(broken).version()

    assert caught.value.detail == "cannot load library"


# --- command lines


def after(args: list[str], name: str) -> str:
    return args[args.index(name) + 1]


def test_every_input_is_opened_by_full_name_with_both_lists_of_what_is_allowed() -> None:
    plan = ScalePlan(10**6, 10**6, 0.03, PictureTarget(640, 360, 30, 10**5), None)
    builders = (
        extract_args(Path("in"), Path("out"), SOUND, MediaLimits(), threads=2),
        scale_args(Path("in"), Path("out"), plan, MediaLimits(), threads=2),
    )

    for args in builders:
        options = args[: args.index("-i")]
        assert options[0] == "-nostdin"
        assert after(options, "-protocol_whitelist") == "file"
        allowed = set(after(options, "-format_whitelist").split(","))
        assert {"mov", "matroska", "mp3", "wav"} <= allowed
        assert not allowed & {"hls", "dash", "concat", "sdp", "imf", "rtsp", "image2", "lavfi"}
        assert after(args, "-i") == f"file:{Path.cwd()}/in"
        assert args[-1] == f"file:{Path.cwd()}/out" or args[-1] == "-"


def test_sound_is_taken_without_pictures_and_within_limits() -> None:
    limits = MediaLimits(max_duration_ms=10_000)

    args = extract_args(Path("in"), Path("out"), SOUND, limits, threads=2)

    assert {"-vn", "-sn", "-dn"} <= set(args)
    assert after(args, "-map") == "0:a:0"
    assert after(args, "-t") == "11.000"
    assert after(args, "-fs") == str(44 + 11 * 32_000)


def test_only_broadcast_containers_need_the_picture_for_the_clock() -> None:
    def args(info: MediaInfo) -> list[str]:
        return extract_args(Path("in"), Path("out"), info, MediaLimits(), threads=2)

    assert "null" in args(FILM)
    assert "null" not in args(replace(FILM, container="matroska,webm"))
    assert "null" not in args(replace(FILM, video=None))


def test_a_copy_of_a_video_starts_playing_before_it_is_loaded() -> None:
    plan = ScalePlan(
        10**6, 10**6, 0.03, PictureTarget(640, 360, 15, 10**5), SoundTarget(32_000, 1, 24_000)
    )

    args = scale_args(Path("in"), Path("out"), plan, MediaLimits(), threads=3)

    assert after(args, "-movflags") == "+faststart"
    assert after(args, "-maxrate") == "100000"
    assert after(args, "-vf").endswith("scale=640:360:flags=bicubic,setsar=1,format=yuv420p")
    assert after(args, "-vf").startswith("fps=15:")
    assert after(args, "-f") == "mp4"
    assert [args[i + 1] for i, arg in enumerate(args) if arg == "-threads"] == ["3", "3"]


@pytest.mark.parametrize(
    ("line", "ms"),
    [("out_time_us=1500000", 1500), ("out_time_us=N/A", None), ("speed=1x", None), ("", None)],
)
def test_a_line_of_progress_is_understood(line: str, ms: int | None) -> None:
    assert progress_ms(line) == ms


def test_a_duration_limit_that_a_wav_header_cannot_hold_is_refused() -> None:
    with pytest.raises(ValueError, match="max_duration_ms"):
        MediaLimits(max_duration_ms=40 * 3_600_000)


# --- sound


@pytest.mark.parametrize(
    "name",
    [
        "a.wav", "a.mp3", "a.m4a", "a.aac", "a.flac", "a.ogg", "a.opus", "a.aiff", "a.wma", "a.caf",
        "a.webm", "a.amr",
    ],
)  # fmt: skip
def test_sound_of_every_container_comes_out_as_it_went_in(
    media: Media, tmp_path: Path, name: str
) -> None:
    source = make_sound(tmp_path / name, duration_s=2, tone_hz=500)

    duration_ms = extract(media, source, tmp_path / "out")

    samples = read_wav(tmp_path / "out")
    assert duration_ms == len(samples) * 1000 // 16_000
    assert duration_ms == pytest.approx(2000, abs=100)  # encoders pad the end
    assert main_tone_hz(samples) == pytest.approx(500, abs=2)


@pytest.mark.parametrize(
    "name", ["a.mp4", "a.mov", "a.mkv", "a.webm", "a.avi", "a.flv", "a.ts", "a.mpg"]
)
def test_sound_of_every_video_container_comes_out(media: Media, tmp_path: Path, name: str) -> None:
    source = make_video(tmp_path / name, duration_s=2)

    extract(media, source, tmp_path / "out")

    begin_ms, end_ms = sounding_ms(read_wav(tmp_path / "out"))
    assert begin_ms < 60
    assert end_ms == pytest.approx(2000, abs=80)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.webm", "a.flv", "a.ts", "a.mpg"])
def test_sound_that_starts_late_keeps_its_place(media: Media, tmp_path: Path, name: str) -> None:
    source = make_video(tmp_path / name, duration_s=4, sound_delay_s=1.5)

    extract(media, source, tmp_path / "out")

    assert sounding_ms(read_wav(tmp_path / "out"))[0] == pytest.approx(1500, abs=40)


def test_a_gap_in_the_sound_keeps_its_length(media: Media, tmp_path: Path) -> None:
    whole = make_sound(tmp_path / "a.mkv", duration_s=6)
    keep = "aselect='lt(t,2)+gt(t,4)'"  # the times of what is left stay
    gap = make(tmp_path / "b.mkv", "-i", str(whole), "-af", keep, "-c:a", "aac")

    duration_ms = extract(media, gap, tmp_path / "out")

    samples = read_wav(tmp_path / "out")
    assert duration_ms == pytest.approx(6000, abs=60)
    assert np.abs(samples[int(2.2 * 16_000) : int(3.8 * 16_000)]).max() < 50
    assert np.abs(samples[int(4.2 * 16_000) :]).max() > 2000


def test_a_damaged_file_gives_the_sound_before_the_damage(media: Media, tmp_path: Path) -> None:
    source = make_video(
        tmp_path / "a.mp4", duration_s=6, args=("-movflags", "+faststart", "-g", "10")
    )
    half = make_cut(source, tmp_path / "half.mp4", percent=50)

    duration_ms = extract(media, half, tmp_path / "out")

    assert 1000 < duration_ms < 5000
    assert duration_ms == len(read_wav(tmp_path / "out")) * 1000 // 16_000


def test_sound_in_a_codec_nobody_knows_is_reported(media: Media, tmp_path: Path) -> None:
    source = tmp_path / "b.mkv"
    source.write_bytes(make_sound(tmp_path / "a.mkv").read_bytes().replace(b"A_AAC", b"A_XYZ"))

    with pytest.raises(MediaUnreadable):
        media.probe(source)


def test_silence_is_sound_too(media: Media, tmp_path: Path) -> None:
    source = write_wav(tmp_path / "a.wav", np.zeros(16_000, dtype=np.int16))

    assert extract(media, source, tmp_path / "out") == 1000


def test_a_recording_without_a_single_sample_is_empty(media: Media, tmp_path: Path) -> None:
    source = write_wav(tmp_path / "a.wav", np.zeros(0, dtype=np.int16))

    with pytest.raises(MediaEmpty):
        media.extract_audio(source, tmp_path / "out", SOUND)

    assert not (tmp_path / "out").exists()


def test_a_video_without_sound_has_none_to_take(media: Media, tmp_path: Path) -> None:
    source = make_video(tmp_path / "a.mp4", sound=False)

    with pytest.raises(MediaNoAudio):
        extract(media, source, tmp_path / "out")


def test_sound_that_cannot_be_decoded_is_reported(media: Media, tmp_path: Path) -> None:
    data = make_sound(tmp_path / "a.ogg").read_bytes()
    # From the second page on: the headers stay, no packet does.
    source = tmp_path / "b.ogg"
    source.write_bytes(data.replace(b"OggS", b"Oggs").replace(b"Oggs", b"OggS", 2))

    with pytest.raises(MediaUnreadable):
        media.extract_audio(source, tmp_path / "out", SOUND)

    assert not (tmp_path / "out").exists()


def test_more_sound_than_the_header_said_is_still_too_much(tmp_path: Path) -> None:
    data = bytearray(make_sound(tmp_path / "a.flac", duration_s=6).read_bytes())
    data[22:26] = struct.pack(">I", 44_100)  # STREAMINFO: one second
    liar = tmp_path / "b.flac"
    liar.write_bytes(data)
    media = Media(ffmpeg_path(), MediaLimits(max_duration_ms=3000))
    info = media.probe(liar)

    with pytest.raises(MediaTooLong):
        media.extract_audio(liar, tmp_path / "out", info)

    assert info.duration_ms == 1000
    assert not (tmp_path / "out").exists()


def test_progress_rises_to_the_end(media: Media, tmp_path: Path) -> None:
    watcher = Watcher()
    source = make_sound(tmp_path / "a.mp3", duration_s=30)

    media.extract_audio(source, tmp_path / "out", media.probe(source), monitor=watcher)

    assert watcher.heard == sorted(watcher.heard)
    assert watcher.heard[-1] == pytest.approx(1.0, abs=0.01)


def test_a_cancelled_extraction_leaves_nothing(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    pid_file.touch()
    media = Media(stub(tmp_path / "ffmpeg", f"echo $$ > {pid_file}; exec sleep 60"), UNCONFINED)

    with pytest.raises(JobCancelled):
        media.extract_audio(
            write_wav(tmp_path / "a.wav", tone(0.1)), tmp_path / "out", SOUND, monitor=Watcher(5)
        )

    assert not (tmp_path / "out").exists()
    pid = pid_file.read_text().strip()
    if pid:
        with pytest.raises(ProcessLookupError):
            os.kill(int(pid), 0)


# --- what is not the file's fault

UNCONFINED = MediaLimits(confine=False, extract_timeout_s=20)


def extract_with(binary: Path, tmp_path: Path, limits: MediaLimits = UNCONFINED) -> int:
    source = write_wav(tmp_path / "a.wav", tone(0.1))
    return Media(binary, limits).extract_audio(source, tmp_path / "out", SOUND)


def test_an_ffmpeg_that_hangs_ignores_signals_and_forks_ends_with_the_time_limit(
    tmp_path: Path,
) -> None:
    pids = tmp_path / "pids"
    hang = "trap '' TERM; (trap '' TERM; while :; do sleep 0.1; done) & "
    hang += f"echo $$ $! > {pids}; while :; do sleep 0.1; done"
    binary = stub(tmp_path / "ffmpeg", hang)

    with pytest.raises(TimeLimitExceeded, match="more than 1 s to extract the sound"):
        extract_with(binary, tmp_path, replace(UNCONFINED, extract_timeout_s=1.0))

    for pid in map(int, pids.read_text().split()):
        while running(pid):
            time.sleep(0.02)
    assert not (tmp_path / "out").exists()


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def test_a_full_disk_is_worth_another_try(media: Media, tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    source = write_wav(tmp_path / "a.wav", tone(3.0))

    with pytest.raises(MediaDiskFull, match="no room left to extract the sound") as caught:
        media.extract_audio(source, Path("/dev/full"), SOUND)

    assert caught.value.retryable
    assert "No space left" in caught.value.detail
    assert Path("/dev/full").exists()


def test_an_ffmpeg_killed_from_outside_is_worth_another_try(tmp_path: Path) -> None:
    binary = stub(tmp_path / "ffmpeg", f"kill -{signal.SIGKILL.value} $$")

    with pytest.raises(MediaToolKilled) as caught:
        extract_with(binary, tmp_path)

    assert caught.value.retryable


def test_an_ffmpeg_that_crashes_on_a_file_will_crash_again(tmp_path: Path) -> None:
    binary = stub(tmp_path / "ffmpeg", f"kill -{signal.SIGSEGV.value} $$")

    with pytest.raises(MediaUnreadable) as caught:
        extract_with(binary, tmp_path)

    assert not caught.value.retryable


def test_a_work_folder_that_is_gone_is_the_operators_to_mend(media: Media, tmp_path: Path) -> None:
    source = write_wav(tmp_path / "a.wav", tone(0.1))

    with pytest.raises(WorkFolderUnwritable) as caught:
        media.extract_audio(source, tmp_path / "gone" / "out", SOUND)

    assert str(tmp_path) in caught.value.detail
    assert str(tmp_path) not in str(caught.value)


def test_an_ffmpeg_that_is_gone_is_the_operators_to_mend(tmp_path: Path) -> None:
    with pytest.raises(ChildNotStarted):
        extract_with(tmp_path / "absent", tmp_path)


@pytest.mark.parametrize(
    "error",
    [
        FfmpegNotFound("x"), MediaDiskFull("a", "b"), MediaToolKilled("a", "b"), ScaleFailed("x"),
        ScaleMissed(2, 1), WorkFolderUnwritable("a", "b"),
    ],
)  # fmt: skip
def test_errors_survive_pickling(error: ProofreelError) -> None:
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301

    assert type(copy) is type(error)
    assert (copy.args, copy.detail, str(copy)) == (error.args, error.detail, str(error))


# --- the smaller copy


def scale(media: Media, source: Path, target: Path, *, max_bytes: int) -> MediaInfo:
    """Bring `source` under `max_bytes`; return what the copy holds."""
    info = media.probe(source)
    plan = plan_scaling(info, size_bytes=source.stat().st_size, max_bytes=max_bytes)
    assert plan is not None, "nothing to do"
    media.scale(source, target, plan, info)
    assert 0 < target.stat().st_size <= max_bytes
    return media.probe(target)


def picture(info: MediaInfo) -> VideoStream:
    assert info.video is not None
    return info.video


def test_a_copy_is_under_the_limit_and_ready_to_stream(media: Media, tmp_path: Path) -> None:
    source = make_video(tmp_path / "a.mp4", duration_s=2, size="960x540", frames_per_s="60")

    info = scale(media, source, tmp_path / "out.mp4", max_bytes=200_000)

    assert picture(info).codec == "h264"
    assert (picture(info).width, picture(info).height) == (854, 480)
    assert picture(info).frames_per_s == pytest.approx(30.0)
    assert info.duration_ms == pytest.approx(2000, abs=60)
    assert info.audio is not None
    assert info.audio.codec == "aac"
    data = (tmp_path / "out.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


def test_noise_that_no_rate_control_likes_is_under_the_limit_too(
    media: Media, tmp_path: Path
) -> None:
    source = make_video(
        tmp_path / "a.mp4", duration_s=4, size="426x240", args=("-vf", "noise=alls=100:allf=t")
    )

    info = scale(media, source, tmp_path / "out.mp4", max_bytes=source.stat().st_size // 40)

    assert info.duration_ms == pytest.approx(4000, abs=100)


CORNERS = "color=black:size=320x240:rate=10:duration=1,drawbox=w=160:h=120:color=red:t=fill"


def red_corner(path: Path, width: int, height: int) -> tuple[str, str]:
    """Return which corner of the first frame is red, as shown."""
    raw = path.with_suffix(".rgb")
    make(raw, "-i", str(path), "-frames:v", "1", "-pix_fmt", "rgb24", "-f", "rawvideo")
    frame = np.fromfile(raw, dtype=np.uint8).reshape(height, width, 3)[:, :, 0]
    halves = {
        ("top", "left"): frame[: height // 2, : width // 2],
        ("top", "right"): frame[: height // 2, width // 2 :],
        ("bottom", "left"): frame[height // 2 :, : width // 2],
        ("bottom", "right"): frame[height // 2 :, width // 2 :],
    }
    return max(halves, key=lambda corner: float(halves[corner].mean()))


@pytest.mark.parametrize(
    ("clockwise", "size", "corner"),
    [(90, (240, 320), ("top", "right")), (270, (240, 320), ("bottom", "left")),
     (180, (320, 240), ("bottom", "right"))],
)  # fmt: skip
def test_a_turned_picture_comes_out_upright(
    media: Media, tmp_path: Path, clockwise: int, size: tuple[int, int], corner: tuple[str, str]
) -> None:
    plain = make(tmp_path / "p.mp4", "-f", "lavfi", "-i", CORNERS, "-c:v", "libx264", "-qp", "0")
    turn = ("-display_rotation", str(-clockwise))
    turned = make(tmp_path / "t.mp4", *turn, "-i", str(plain), "-c", "copy")
    info = media.probe(turned)
    assert picture(info).rotation_deg == clockwise
    plan = ScalePlan(10**6, 10**6, 0.03, PictureTarget(*size, 10.0, 300_000), None)

    media.scale(turned, tmp_path / "out.mp4", plan, info)

    made = picture(media.probe(tmp_path / "out.mp4"))
    assert (made.width, made.height, made.rotation_deg) == (*size, 0)
    assert red_corner(tmp_path / "out.mp4", *size) == corner


@pytest.mark.parametrize(
    ("name", "options", "size"),
    [
        ("odd.mp4", {"size": "641x481", "args": ("-pix_fmt", "yuv444p")}, (640, 480)),
        ("portrait.mp4", {"size": "360x640"}, (360, 640)),
        ("wide-pixels.mp4", {"size": "360x288", "args": ("-vf", "setsar=4/3")}, (480, 288)),
        ("ten-bit.mkv", {"size": "320x240", "args": ("-pix_fmt", "yuv420p10le")}, (320, 240)),
        ("silent.mp4", {"size": "320x240", "sound": False}, (320, 240)),
        ("browser.webm", {"size": "320x240"}, (320, 240)),
        ("changing.mkv", {"args": ("-vf", "select='mod(n,7)'", "-fps_mode", "vfr")}, (160, 120)),
    ],
)  # fmt: skip
def test_pictures_of_every_kind_come_out_playable(
    media: Media, tmp_path: Path, name: str, options: dict[str, object], size: tuple[int, int]
) -> None:
    source = make_video(tmp_path / name, **options)  # type: ignore[arg-type]

    info = scale(media, source, tmp_path / "out.mp4", max_bytes=source.stat().st_size - 1)

    made = picture(info)
    assert (made.width, made.height, made.pixel_aspect) == (*size, 1.0)
    assert info.duration_ms == pytest.approx(2000, abs=120)
    assert (info.audio is None) == ("silent" in name)
    assert pixel_format(tmp_path / "out.mp4") == "yuv420p"


def pixel_format(path: Path) -> str:
    with av.open(str(path)) as container:
        return container.streams.video[0].pix_fmt or ""


def test_late_sound_is_late_in_the_copy_too(media: Media, tmp_path: Path) -> None:
    source = make_video(tmp_path / "a.ts", duration_s=4, size="320x240", sound_delay_s=1.5)

    scale(media, source, tmp_path / "out.mp4", max_bytes=source.stat().st_size // 2)

    extract(media, tmp_path / "out.mp4", tmp_path / "out.wav")
    assert sounding_ms(read_wav(tmp_path / "out.wav"))[0] == pytest.approx(1500, abs=60)


def test_sound_alone_becomes_a_smaller_m4a(media: Media, tmp_path: Path) -> None:
    source = make_sound(tmp_path / "a.wav", duration_s=20)

    info = scale(media, source, tmp_path / "out.m4a", max_bytes=150_000)

    assert info.video is None
    assert info.audio == AudioStream("aac", 32_000, 1)
    assert info.duration_ms == pytest.approx(20_000, abs=100)


def counting_stub(tmp_path: Path, sizes: tuple[int, ...]) -> Path:
    """A stub FFmpeg that writes a file of the next size at every call."""
    script = (
        f"n=$(cat {tmp_path}/calls 2>/dev/null || echo 0); echo $((n + 1)) > {tmp_path}/calls\n"
    )
    script += "for out; do :; done; out=${out#file:}\ncase $n in\n"
    for call, size in enumerate(sizes):
        script += f'{call}) exec head -c {size} /dev/zero > "$out" ;;\n'
    return stub(tmp_path / "ffmpeg", script + "esac")


PLAN = ScalePlan(100_000, 100_000, 0.03, None, SoundTarget(96_000, 1, 44_100))


def test_a_copy_that_came_out_too_large_is_made_once_more(tmp_path: Path) -> None:
    media = Media(counting_stub(tmp_path, (120_000, 90_000)), UNCONFINED)

    media.scale(tmp_path / "a.wav", tmp_path / "out", PLAN, SOUND)

    assert (tmp_path / "out").stat().st_size == 90_000
    assert (tmp_path / "calls").read_text() == "2\n"


@pytest.mark.parametrize("first", [120_000, 5_000_000])
def test_a_copy_that_is_too_large_twice_is_given_up(tmp_path: Path, first: int) -> None:
    media = Media(counting_stub(tmp_path, (first, 110_000)), UNCONFINED)

    with pytest.raises(ScaleMissed, match="under 100000 bytes"):
        media.scale(tmp_path / "a.wav", tmp_path / "out", PLAN, SOUND)

    assert not (tmp_path / "out").exists()


def test_a_picture_that_does_not_decode_is_no_reason_to_doubt_the_recording(
    media: Media, tmp_path: Path
) -> None:
    source = write_wav(tmp_path / "a.wav", tone(1.0))
    plan = replace(PLAN, picture=PictureTarget(320, 240, 10.0, 100_000))

    with pytest.raises(ScaleFailed) as caught:
        media.scale(source, tmp_path / "out", plan, SOUND)

    assert str(tmp_path) not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_a_second_attempt_that_cannot_be_planned_leaves_nothing(tmp_path: Path) -> None:
    media = Media(counting_stub(tmp_path, (199_000,)), UNCONFINED)
    long = replace(SOUND, duration_ms=40_000)

    with pytest.raises(ScaleImpossible):
        media.scale(tmp_path / "a.wav", tmp_path / "out", PLAN, long)

    assert not (tmp_path / "out").exists()
