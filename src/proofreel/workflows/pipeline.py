"""The order of the hops, the same for a durable job and for the command line."""

from __future__ import annotations

from functools import partial

from proofreel.core.jobs import JobResult
from proofreel.workflows import hops
from proofreel.workflows.results import Heard, Loudness, Probed, Review, Scaled, Sound, Texts
from proofreel.workflows.steps import Steps


def run_job(steps: Steps) -> JobResult:
    """Take a job through every hop. The names and the order of the hops are part of the
    contract with jobs that are under way: change them only with `APPLICATION_VERSION`.
    """
    probed = steps.run("probe", Probed, hops.probe)
    if probed.plan:
        steps.start_scaling(probed)
    sound = steps.run("extract", Sound, partial(hops.extract, probed=probed))
    heard = steps.run("transcribe", Heard, partial(hops.transcribe, sound=sound))
    loudness = steps.run("silence", Loudness, partial(hops.silence, sound=sound))
    texts = steps.run("subtitles", Texts, partial(hops.subtitles, heard=heard))
    review = steps.run("report", Review, partial(hops.report, heard=heard, loudness=loudness))
    scaled = steps.scaled() if probed.plan else Scaled(None, probed.scale_note)
    return steps.run(
        "publish",
        JobResult,
        partial(
            hops.publish,
            probed=probed,
            sound=sound,
            heard=heard,
            texts=texts,
            review=review,
            scaled=scaled,
        ),
    )
