# Proofreel in one image. Targets: cpu (the default) and cuda, from the same stages.
#
#   docker build -t proofreel .                      the speech model `base` inside
#   docker build -t proofreel --build-arg MODEL= .   no model inside: fetched into /data at first start
#   docker build -t proofreel:cuda --target cuda .   for NVIDIA GPUs
#
# No build mounts and no VOLUME: builders of platforms refuse one or the other.

ARG PYTHON_IMAGE=python:3.13-slim-trixie


FROM ${PYTHON_IMAGE} AS build
ENV PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PATH=/opt/proofreel/bin:$PATH
WORKDIR /src
RUN python3 -m venv /opt/proofreel
# `otel` adds OpenTelemetry
ARG EXTRAS=""
COPY requirements.txt requirements-otel.txt ./
RUN pip install --require-hashes -r "requirements${EXTRAS:+-$EXTRAS}.txt"
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN pip install --no-deps --no-build-isolation . \
    && pip uninstall --yes setuptools


FROM build AS model
ARG MODEL=base
RUN mkdir /opt/models \
    && if [ -n "$MODEL" ]; then PROOFREEL_MODELS_DIR=/opt/models proofreel models pull "$MODEL"; fi \
    && chmod -R a+rX /opt/models


# What CTranslate2 loads to use a GPU. The wheel on the same Python image, not an image of NVIDIA's:
# 0.9 GB instead of 2 to 4, one Debian to keep up to date, and pinned by its hash.
FROM ${PYTHON_IMAGE} AS cuda-libraries
WORKDIR /src
COPY deploy/requirements-cuda.txt ./
RUN pip install --no-cache-dir --no-deps --require-hashes --target /opt/cuda -r requirements-cuda.txt


FROM ${PYTHON_IMAGE} AS runtime
RUN apt-get update \
    && apt-get install --yes --no-install-recommends tini=0.19.* \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 proofreel \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin proofreel \
    && install --directory --owner 10001 --group 10001 --mode 0700 /data
COPY --from=model /opt/models /opt/models
COPY --from=build /opt/proofreel /opt/proofreel
COPY deploy/healthcheck.py /opt/proofreel/healthcheck.py

ARG MODEL=base
# The root file system may be read-only: state goes to /data, scratch of no size to /tmp.
ENV PATH=/opt/proofreel/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp \
    HF_HOME=/data/cache/huggingface \
    PROOFREEL_HOST=0.0.0.0 \
    PROOFREEL_DATA_DIR=/data \
    PROOFREEL_MODEL=${MODEL} \
    PROOFREEL_MODELS_DIR=${MODEL:+/opt/models}
WORKDIR /data
USER 10001:10001
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=5m \
    CMD ["python3", "-I", "-S", "/opt/proofreel/healthcheck.py"]
ENTRYPOINT ["tini", "--"]
CMD ["proofreel", "serve"]

ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Proofreel" \
      org.opencontainers.image.description="Transcripts, subtitles and review reports for recorded speech" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"


FROM runtime AS cuda
COPY --from=cuda-libraries /opt/cuda /opt/cuda
ENV LD_LIBRARY_PATH=/opt/cuda/nvidia/cublas/lib \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility


FROM runtime AS cpu
