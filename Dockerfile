# docker build -t unweave . && docker run --rm -v "$PWD:/music" unweave separate song.mp3
# For a cluster (docs/howto/catalogue.md): --build-arg EXTRAS='[cluster]' --build-arg PACKAGES='ray[default]'
# For CUDA: FROM nvidia/cuda:12.6.3-runtime-ubuntu24.04, install python3-venv and '.[gpu]', run with --gpus all.
# Any base will do that has Python 3.10 or newer and a pip that may install into it.
ARG BASE=python:3.12-slim
FROM $BASE AS build
COPY . /src
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels /src

FROM $BASE
ARG EXTRAS=""
ARG PACKAGES=""
COPY --from=build /wheels /wheels
RUN pip install --no-cache-dir "$(ls /wheels/*.whl)$EXTRAS" $PACKAGES && rm -r /wheels && useradd --create-home unweave
# KubeRay asks with wget whether a node is well.
RUN if [ -n "$EXTRAS" ]; then \
        apt-get update && apt-get install -y --no-install-recommends wget && rm -r /var/lib/apt/lists/*; \
    fi
# The weights of the default model, so that the container needs no network.
USER unweave
RUN unweave models fetch 2stems
WORKDIR /music
ENTRYPOINT ["unweave"]
CMD ["--help"]
