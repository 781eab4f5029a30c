"""Choose where speech recognition runs: an NVIDIA GPU that really works, else the CPU.

Runs in the child process only: asking about a GPU loads CTranslate2 and the driver.
"""

from __future__ import annotations

import ctypes
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

# What CTranslate2 4 loads at run time to use a GPU; it carries cuDNN where it needs it.
CUDA_LIBRARIES = ("libcublasLt.so.12", "libcublas.so.12")
_CUDA_PREFERENCE = ("float16", "int8_float16", "int8_float32", "float32")
_CPU_PREFERENCE = ("int8", "int8_float32", "float32")


@dataclass(frozen=True, slots=True)
class DeviceChoice:
    """A device and number type of CTranslate2; `note` says what an operator should know, or ""."""

    device: str  # "cpu" or "cuda"
    compute_type: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Probe:
    """How to look at the machine; tests put other functions in."""

    cuda_devices: Callable[[], int]
    compute_types: Callable[[str], set[str]]
    missing_libraries: Callable[[], tuple[str, ...]]


def choose_device(device: str, compute_type: str, probe: Probe | None = None) -> DeviceChoice:
    """Return what to use for the settings `device` and `compute_type`, either of them "auto".

    `probe` None: that of this machine, which imports CTranslate2. A GPU that cannot be used is
    never an error: the note says what is missing and the CPU does the work.
    """
    probe = probe or real_probe()
    if device == "cpu":
        return _on_cpu(compute_type, probe, note="")
    if probe.cuda_devices() < 1:
        wanted = "A GPU is configured, but no usable one was found, so the CPU is used."
        return _on_cpu(compute_type, probe, note=wanted if device == "cuda" else "")
    missing = probe.missing_libraries()
    if missing:
        note = (
            f"A GPU was found but not its libraries ({', '.join(missing)}), so the CPU is used; "
            "install nvidia-cublas-cu12 to use the GPU."
        )
        return _on_cpu(compute_type, probe, note=note)
    return DeviceChoice("cuda", _pick(compute_type, _CUDA_PREFERENCE, probe.compute_types("cuda")))


def fall_back(failed: DeviceChoice, reason: str, probe: Probe) -> DeviceChoice:
    """Return the CPU instead of a GPU that failed at work."""
    line = reason.strip().splitlines()[0][:200] if reason.strip() else "no reason given"
    return _on_cpu("auto", probe, note=f"The {failed.device} device failed ({line}); CPU used.")


def real_probe() -> Probe:
    """Return the probe of this machine. Imports CTranslate2."""
    import ctranslate2

    return Probe(
        cuda_devices=ctranslate2.get_cuda_device_count,
        compute_types=lambda device: set(ctranslate2.get_supported_compute_types(device)),
        missing_libraries=lambda: tuple(name for name in CUDA_LIBRARIES if not _loads(name)),
    )


def _on_cpu(compute_type: str, probe: Probe, *, note: str) -> DeviceChoice:
    return DeviceChoice(
        "cpu", _pick(compute_type, _CPU_PREFERENCE, probe.compute_types("cpu")), note
    )


def _pick(wanted: str, preference: tuple[str, ...], supported: set[str]) -> str:
    if wanted != "auto" and (wanted in supported or not supported):
        return wanted
    return next((kind for kind in preference if kind in supported), "default")


def _loads(library: str) -> bool:
    """Load a CUDA library for CTranslate2 to find: the system's, else that of NVIDIA's wheels."""
    for candidate in (library, *_in_wheels(library)):
        try:
            ctypes.CDLL(candidate, mode=ctypes.RTLD_GLOBAL)
        except OSError:
            continue
        return True
    return False


def _in_wheels(library: str) -> tuple[str, ...]:
    spec = importlib.util.find_spec("nvidia")
    roots = list(spec.submodule_search_locations or ()) if spec is not None else []
    found = (path for root in roots for path in Path(root).glob(f"*/lib/{library}"))
    return tuple(str(path) for path in found)
