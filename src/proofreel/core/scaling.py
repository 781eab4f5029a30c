"""What size and bit rates a copy of a recording needs in order to fit a limit in bytes.

The arithmetic: bytes for samples = limit - what the MP4 container's tables take - a reserve for the
encoders' aim. Divided by the duration that is the bit rate; sound gets up to a fifth of it, the
picture the rest; and the picture is made smaller and slower until that is enough bits per pixel.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from proofreel.core.model import AudioStream, MediaInfo, VideoStream
from proofreel.errors import ProofreelError

LONGEST_SIDE_PX = 854  # 480p in 16:9
FRAMES_PER_S = 30.0

_RESERVE = 0.05  # single-pass rate control of x264 and FFmpeg's AAC stays within this of its aim
_FIXED_BYTES = 16_384  # headers of the file and its tracks
_TABLE_BYTES_PER_FRAME = 16  # size, composition offset, and a share of chunk and key-frame tables
_TABLE_BYTES_PER_PACKET = 8  # the same for sound, which has no composition offsets
_SAMPLES_PER_PACKET = 1024  # AAC

# Bits for each pixel of each frame, H.264 "veryfast": chosen, not measured. Less than the first
# number is taken for too little for moving people, more than the second for waste. Slides need far
# fewer: a recording that came with fewer keeps that number, less a little for the detail that goes.
_ENOUGH_BITS_PER_PIXEL = 0.03
_MOST_BITS_PER_PIXEL = 0.15
_FEWEST_BITS_PER_PIXEL = 0.004
_KEPT_OF_SOURCE = 0.75

# (longest side, frames per second), best first. Sharpness is kept before smoothness: slides.
_PICTURE_STEPS = (
    (LONGEST_SIDE_PX, FRAMES_PER_S), (640, FRAMES_PER_S), (640, 15.0), (480, 15.0), (426, 15.0),
    (426, 10.0), (320, 10.0), (256, 10.0), (256, 5.0),
)  # fmt: skip

# (bits per second, channels, samples per second), best first; 16 kbit/s is still understood.
_SOUND_STEPS = (
    (128_000, 2, 44_100), (96_000, 2, 44_100), (64_000, 1, 44_100), (48_000, 1, 32_000),
    (32_000, 1, 24_000), (24_000, 1, 16_000), (16_000, 1, 16_000),
)  # fmt: skip
_SOUND_SHARE = 0.2
_AAC_SAMPLE_RATES_HZ = (44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000)


class ScaleImpossible(ProofreelError):
    """No copy worth having fits the limit. The pipeline goes on without a scaled copy: the job
    itself still succeeds.
    """

    code = "scale_impossible"

    def __init__(self, duration_ms: int, max_bytes: int) -> None:
        super().__init__(duration_ms, max_bytes)
        self.duration_ms, self.max_bytes = duration_ms, max_bytes

    def __str__(self) -> str:
        if self.duration_ms <= 0:
            return "No smaller copy was made: the length of the recording is not known."
        return f"No smaller copy was made: the recording is too long for {self.max_bytes} bytes."


@dataclass(frozen=True, slots=True)
class PictureTarget:
    """H.264 picture as shown, upright, with square pixels; both sides are even."""

    width: int
    height: int
    frames_per_s: float  # at most
    bits_per_s: int


@dataclass(frozen=True, slots=True)
class SoundTarget:
    """AAC sound."""

    bits_per_s: int
    channels: int
    sample_rate_hz: int


@dataclass(frozen=True, slots=True)
class ScalePlan:
    """How to make the copy. `aim_bytes` is what the bit rates were worked out for, and
    `bits_per_pixel` the least that this picture was held to need.
    """

    max_bytes: int
    aim_bytes: int
    bits_per_pixel: float
    picture: PictureTarget | None
    sound: SoundTarget | None

    @property
    def suffix(self) -> str:
        """The file name's ending that fits the copy."""
        return ".mp4" if self.picture else ".m4a"


def plan_scaling(info: MediaInfo, *, size_bytes: int, max_bytes: int) -> ScalePlan | None:
    """Return how to bring a recording of `size_bytes` under `max_bytes`; None if it fits already.

    `info.duration_ms` must be right: where the container does not say (0), put in the length of
    the extracted sound first. Raises ScaleImpossible if no sensible copy fits; that is no reason to
    fail a job.
    """
    if size_bytes <= max_bytes:
        return None
    bits_per_pixel = _needed_bits_per_pixel(info, size_bytes)
    return _fit(info, bits_per_pixel, aim_bytes=max_bytes, max_bytes=max_bytes)


def tighten(plan: ScalePlan, info: MediaInfo, *, got_bytes: int) -> ScalePlan:
    """Return a smaller plan after `plan` gave `got_bytes`, which was too much.

    Aims as much lower as the first attempt was too high, and 5 % more. Raises ScaleImpossible.
    """
    missed_by = max(got_bytes / plan.max_bytes, 1.0)
    aim_bytes = int(plan.aim_bytes * 0.95 / missed_by)
    return _fit(info, plan.bits_per_pixel, aim_bytes=aim_bytes, max_bytes=plan.max_bytes)


def _needed_bits_per_pixel(info: MediaInfo, size_bytes: int) -> float:
    """Return how many bits a pixel needs, judged by what the source spends, sound and all."""
    if info.video is None or info.duration_ms <= 0:
        return _ENOUGH_BITS_PER_PIXEL
    frames_per_s = min(info.video.frames_per_s or FRAMES_PER_S, FRAMES_PER_S)
    pixels = info.video.width * info.video.height * frames_per_s * info.duration_ms / 1000
    kept = _KEPT_OF_SOURCE * size_bytes * 8 / max(pixels, 1)
    return min(max(kept, _FEWEST_BITS_PER_PIXEL), _ENOUGH_BITS_PER_PIXEL)


def _fit(info: MediaInfo, bits_per_pixel: float, *, aim_bytes: int, max_bytes: int) -> ScalePlan:
    if info.duration_ms > 0:
        for picture, sound in _candidates(info, bits_per_pixel, aim_bytes):
            return ScalePlan(max_bytes, aim_bytes, bits_per_pixel, picture, sound)
    raise ScaleImpossible(info.duration_ms, max_bytes)


def _candidates(
    info: MediaInfo, bits_per_pixel: float, aim_bytes: int
) -> Iterator[tuple[PictureTarget | None, SoundTarget | None]]:
    """Yield what fits, best first."""
    if info.video is None:
        for sound in _sounds(info.audio):
            if sound.bits_per_s <= _rate(info, aim_bytes, 0.0, sound):
                yield None, sound
        return
    for side_px, frames_per_s in _PICTURE_STEPS:
        if info.video.frames_per_s > 0:
            frames_per_s = min(frames_per_s, info.video.frames_per_s)
        width, height = fit_picture(info.video, longest_side_px=side_px)
        pixels_per_s = width * height * frames_per_s
        share = _share(info, aim_bytes, frames_per_s)
        left_bits_per_s = _rate(info, aim_bytes, frames_per_s, share)
        left_bits_per_s -= share.bits_per_s if share else 0
        bits_per_s = min(left_bits_per_s, pixels_per_s * _MOST_BITS_PER_PIXEL)
        if bits_per_s >= max(pixels_per_s * bits_per_pixel, 1):
            yield PictureTarget(width, height, frames_per_s, int(bits_per_s)), share


def _rate(info: MediaInfo, aim_bytes: int, frames_per_s: float, sound: SoundTarget | None) -> float:
    """Return the bits per second left for all samples together; negative if the tables alone fill
    the file.
    """
    duration_s = info.duration_ms / 1000
    packets_per_s = sound.sample_rate_hz / _SAMPLES_PER_PACKET if sound else 0.0
    per_s = frames_per_s * _TABLE_BYTES_PER_FRAME + packets_per_s * _TABLE_BYTES_PER_PACKET
    return (aim_bytes * (1 - _RESERVE) - _FIXED_BYTES - per_s * duration_s) * 8 / duration_s


def _sounds(audio: AudioStream | None) -> list[SoundTarget]:
    """Return the steps for a stream, best first, without making more of it than there is."""
    if audio is None:
        return []
    return [
        SoundTarget(bits_per_s, channels, _sample_rate(audio, at_most_hz=sample_rate_hz))
        for bits_per_s, channels, sample_rate_hz in _SOUND_STEPS
        if channels <= max(audio.channels, 1)
    ]


def _sample_rate(audio: AudioStream, *, at_most_hz: int) -> int:
    top = min(at_most_hz, audio.sample_rate_hz or at_most_hz)
    return next((rate for rate in _AAC_SAMPLE_RATES_HZ if rate <= top), _AAC_SAMPLE_RATES_HZ[-1])


def _share(info: MediaInfo, aim_bytes: int, frames_per_s: float) -> SoundTarget | None:
    """Return the best sound within its share; the least there is if none is."""
    sound = None
    for sound in _sounds(info.audio):
        if sound.bits_per_s <= _rate(info, aim_bytes, frames_per_s, sound) * _SOUND_SHARE:
            break
    return sound


def fit_picture(video: VideoStream, *, longest_side_px: int) -> tuple[int, int]:
    """Return width and height of the picture as shown, never enlarged, both even, at least 2.

    Turned upright and with square pixels: a stored 1440 x 1080 with pixel aspect 4:3 counts as
    1920 x 1080.
    """
    width, height = video.width * (video.pixel_aspect or 1.0), float(video.height)
    if video.rotation_deg % 180:
        width, height = height, width
    factor = min(1.0, longest_side_px / max(width, height))
    return _even(width * factor, at_most=width), _even(height * factor, at_most=height)


def _even(side: float, *, at_most: float) -> int:
    """Return the nearest even number of pixels, not above `at_most`, at least 2."""
    return max(2, min(round(side / 2), int(at_most / 2)) * 2)
