from __future__ import annotations

import pytest

from proofreel.adapters.device import Probe, choose_device, fall_back, real_probe


def machine(
    *, gpus: int = 0, missing: tuple[str, ...] = (), cuda_types: frozenset[str] = frozenset()
) -> Probe:
    types = {"cpu": {"int8", "int8_float32", "float32"}, "cuda": set(cuda_types)}
    return Probe(lambda: gpus, lambda device: types[device], lambda: missing)


MODERN_GPU = frozenset({"float16", "int8_float16", "float32", "int8"})
OLD_GPU = frozenset({"int8_float32", "float32", "int8"})


def test_without_a_gpu_the_cpu_computes_in_int8_and_nobody_is_bothered() -> None:
    choice = choose_device("auto", "auto", machine())

    assert (choice.device, choice.compute_type, choice.note) == ("cpu", "int8", "")


def test_a_usable_gpu_is_taken_in_float16() -> None:
    choice = choose_device("auto", "auto", machine(gpus=1, cuda_types=MODERN_GPU))

    assert (choice.device, choice.compute_type, choice.note) == ("cuda", "float16", "")


def test_a_gpu_without_float16_gets_the_best_that_it_can() -> None:
    choice = choose_device("auto", "auto", machine(gpus=1, cuda_types=OLD_GPU))

    assert (choice.device, choice.compute_type) == ("cuda", "int8_float32")


@pytest.mark.parametrize("device", ["auto", "cuda"])
def test_a_gpu_without_its_libraries_is_named_and_the_cpu_used(device: str) -> None:
    choice = choose_device(device, "auto", machine(gpus=1, missing=("libcublas.so.12",)))

    assert (choice.device, choice.compute_type) == ("cpu", "int8")
    assert "libcublas.so.12" in choice.note


def test_asking_for_a_gpu_that_is_not_there_is_answered_with_a_note() -> None:
    choice = choose_device("cuda", "float16", machine())

    assert (choice.device, choice.compute_type) == ("cpu", "int8")
    assert "no usable one was found" in choice.note


def test_settings_override_the_choice() -> None:
    gpu = machine(gpus=1, cuda_types=MODERN_GPU)

    assert choose_device("cpu", "float32", gpu).device == "cpu"
    assert choose_device("cpu", "float32", gpu).compute_type == "float32"
    assert choose_device("auto", "int8_float16", gpu).compute_type == "int8_float16"


def test_a_gpu_that_fails_at_work_gives_way_to_the_cpu_and_says_why() -> None:
    probe = machine(gpus=1, cuda_types=MODERN_GPU)
    failed = choose_device("auto", "auto", probe)

    instead = fall_back(failed, "CUDA failed with error out of memory\nat line 7", probe)

    assert (instead.device, instead.compute_type) == ("cpu", "int8")
    assert "out of memory" in instead.note
    assert "line 7" not in instead.note


def test_this_machine_can_be_asked() -> None:
    choice = choose_device("cpu", "auto", real_probe())

    assert choice.device == "cpu"
    assert choice.compute_type in {"int8", "int8_float32", "float32"}
