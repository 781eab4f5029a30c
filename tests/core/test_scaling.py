from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofreel.core.model import AudioStream, MediaInfo, VideoStream
from proofreel.core.scaling import (
    PictureTarget,
    ScaleImpossible,
    ScalePlan,
    SoundTarget,
    fit_picture,
    plan_scaling,
    tighten,
)

LIMIT_BYTES = 26_214_400
HOUR_MS = 3_600_000
STEREO = AudioStream("aac", 48_000, 2)


def video(
    width: int = 1920,
    height: int = 1080,
    *,
    rotation_deg: int = 0,
    frames_per_s: float = 30.0,
    pixel_aspect: float = 1.0,
) -> VideoStream:
    return VideoStream("h264", width, height, rotation_deg, frames_per_s, pixel_aspect)


def info(
    minutes: float, picture: VideoStream | None, sound: AudioStream | None = STEREO
) -> MediaInfo:
    return MediaInfo("mov", round(minutes * 60_000), picture, sound)


def plan(media: MediaInfo, *, size_bytes: int = 10**9, max_bytes: int = LIMIT_BYTES) -> ScalePlan:
    made = plan_scaling(media, size_bytes=size_bytes, max_bytes=max_bytes)
    assert made is not None
    return made


def test_a_recording_that_fits_needs_no_plan() -> None:
    media = info(90, video())

    assert plan_scaling(media, size_bytes=LIMIT_BYTES, max_bytes=LIMIT_BYTES) is None


def test_a_short_video_gets_480p_at_30_frames_and_good_sound() -> None:
    made = plan(info(3, video()))

    assert made.picture is not None
    assert (made.picture.width, made.picture.height) == (854, 480)
    assert made.picture.frames_per_s == 30.0
    assert made.sound == SoundTarget(128_000, 2, 44_100)
    assert made.suffix == ".mp4"


def test_a_longer_video_gets_smaller_and_slower_step_by_step() -> None:
    steps = [plan(info(minutes, video())) for minutes in (3, 10, 20, 40, 75)]

    sizes = [
        (s.picture.width, s.picture.frames_per_s, s.sound.channels)
        for s in steps
        if s.picture and s.sound
    ]
    assert sizes == [
        (854, 30.0, 2), (640, 30.0, 1), (640, 15.0, 1), (480, 15.0, 1), (426, 10.0, 1),
    ]  # fmt: skip


def test_slides_that_came_with_few_bits_stay_sharp() -> None:
    talk = plan(info(60, video()), size_bytes=1_000_000_000)
    slides = plan(info(60, video()), size_bytes=100_000_000)

    assert talk.picture is not None
    assert slides.picture is not None
    assert (talk.picture.width, slides.picture.width) == (426, 640)


def test_a_short_video_with_a_wide_limit_gets_no_more_bits_than_can_be_seen() -> None:
    made = plan(info(0.2, video()), size_bytes=40_000_000)

    assert made.picture is not None
    assert made.picture.bits_per_s == int(854 * 480 * 30 * 0.15)


def test_sound_alone_gets_the_best_rate_that_fits() -> None:
    for minutes, bits_per_s in ((20, 128_000), (30, 96_000), (60, 48_000), (180, 16_000)):
        made = plan(info(minutes, None))

        assert made.picture is None
        assert made.sound is not None
        assert made.sound.bits_per_s == bits_per_s
        assert made.suffix == ".m4a"


def test_sound_is_never_made_more_than_it_was() -> None:
    made = plan(info(1, None, AudioStream("pcm_s16le", 11_025, 1)))

    assert made.sound == SoundTarget(64_000, 1, 11_025)


def test_sound_below_every_aac_rate_gets_the_lowest() -> None:
    made = plan(info(1, None, AudioStream("pcm_s16le", 4_000, 1)))

    assert made.sound == SoundTarget(64_000, 1, 8_000)


def test_a_video_without_sound_gets_all_bits_for_the_picture() -> None:
    silent, sounding = plan(info(10, video(), None)), plan(info(10, video()))

    assert silent.sound is None
    assert silent.picture is not None
    assert sounding.picture is not None
    assert silent.picture.bits_per_s > sounding.picture.bits_per_s


@pytest.mark.parametrize("media", [info(6 * 60, video()), info(12 * 60, None)])
def test_a_recording_too_long_for_any_sensible_rate_is_refused(media: MediaInfo) -> None:
    with pytest.raises(ScaleImpossible, match="too long for 26214400 bytes"):
        plan(media)


def test_a_recording_of_unknown_length_is_refused() -> None:
    with pytest.raises(ScaleImpossible, match="length of the recording is not known"):
        plan(info(0, video()))


def test_the_refusal_survives_pickling() -> None:
    error = pickle.loads(pickle.dumps(ScaleImpossible(HOUR_MS, 10)))  # noqa: S301

    assert (error.code, error.duration_ms, error.max_bytes) == ("scale_impossible", HOUR_MS, 10)
    assert not error.retryable


def test_a_second_plan_aims_below_the_first_by_what_was_missed() -> None:
    media = info(10, video())
    first = plan(media)

    second = tighten(first, media, got_bytes=LIMIT_BYTES * 2)

    assert first.picture is not None
    assert second.picture is not None
    assert second.max_bytes == LIMIT_BYTES
    assert second.aim_bytes == int(LIMIT_BYTES * 0.95 / 2)
    assert second.picture.bits_per_s < first.picture.bits_per_s / 2


@pytest.mark.parametrize(
    ("picture", "size"),
    [
        (video(1920, 1080), (854, 480)),
        (video(1080, 1920), (480, 854)),
        (video(1920, 1080, rotation_deg=90), (480, 854)),
        (video(1920, 1080, rotation_deg=180), (854, 480)),
        (video(1440, 1080, pixel_aspect=4 / 3), (854, 480)),
        (video(720, 576, pixel_aspect=16 / 15), (768, 576)),
        (video(641, 481), (640, 480)),
        (video(100, 1), (100, 2)),
        (video(854, 480), (854, 480)),
        (video(20_000, 2), (854, 2)),
    ],
)
def test_a_picture_keeps_its_shape_as_shown(picture: VideoStream, size: tuple[int, int]) -> None:
    assert fit_picture(picture, longest_side_px=854) == size


streams = st.builds(
    video,
    st.integers(16, 8192),
    st.integers(16, 8192),
    rotation_deg=st.sampled_from([0, 90, 180, 270]),
    frames_per_s=st.sampled_from([0.0, 1.0, 12.5, 29.97, 60.0, 1000.0]),
    pixel_aspect=st.floats(0.5, 2.0),
)
sounds = st.builds(AudioStream, st.just("aac"), st.integers(0, 384_000), st.integers(0, 8))


@given(
    picture=st.none() | streams,
    sound=st.none() | sounds,
    duration_ms=st.integers(1, 12 * HOUR_MS),
    max_bytes=st.integers(1, 10**9),
    size_bytes=st.integers(1, 10**10),
)
def test_every_plan_fits_by_its_own_numbers_and_enlarges_nothing(
    picture: VideoStream | None,
    sound: AudioStream | None,
    duration_ms: int,
    max_bytes: int,
    size_bytes: int,
) -> None:
    media = MediaInfo("mov", duration_ms, picture, sound)
    try:
        made = plan_scaling(media, size_bytes=size_bytes, max_bytes=max_bytes)
    except ScaleImpossible:
        return
    if made is None:
        assert size_bytes <= max_bytes
        return

    bits_per_s = sum(part.bits_per_s for part in (made.picture, made.sound) if part)
    assert bits_per_s * duration_ms / 8000 <= max_bytes * 0.95
    assert (made.picture is None) == (picture is None)
    assert (made.sound is None) == (sound is None)
    if picture and made.picture:
        check_picture(picture, made.picture)


def check_picture(stored: VideoStream, made: PictureTarget) -> None:
    assert made.width % 2 == made.height % 2 == 0
    assert 2 <= made.width <= 854
    assert 2 <= made.height <= 854
    shown = (stored.width * stored.pixel_aspect, float(stored.height))
    if stored.rotation_deg in (90, 270):
        shown = (shown[1], shown[0])
    assert made.width <= max(shown[0], 2)
    assert made.height <= max(shown[1], 2)
    # Rounding to even pixels moves each side by at most one, or two where it may not grow.
    assert abs(made.width * shown[1] - made.height * shown[0]) <= 2 * (shown[0] + shown[1])
    assert made.frames_per_s <= (stored.frames_per_s or 30.0)
    assert made.frames_per_s <= 30.0
