# eosin with the pinned versions of requirements.lock, each checked by its hash.
#
#   docker build -t eosin:0.1.0 .
#   docker run --rm -v "$PWD:/data" -w /data eosin:0.1.0 predict run slide.svs -o slide.h5ad
#
# With a GPU: docker run --gpus all ...; the lock's torch brings its own CUDA libraries.
FROM python:3.11-slim AS build
ENV UV_LINK_MODE=copy PYTHONDONTWRITEBYTECODE=1
RUN pip install --no-cache-dir uv && python -m venv /opt/eosin
WORKDIR /src
COPY requirements.lock build.in pyproject.toml README.md LICENSE ./
RUN uv pip install --python /opt/eosin/bin/python --no-cache --require-hashes -r requirements.lock
COPY src src
RUN uv pip install --python /opt/eosin/bin/python --no-cache --no-deps --no-build-isolation .

FROM python:3.11-slim
# A process forks and kills others: without an init as process 1 dead ones would stay.
RUN apt-get update && apt-get install -y --no-install-recommends procps tini && rm -rf /var/lib/apt/lists/*
COPY --from=build /opt/eosin /opt/eosin
ENV PATH=/opt/eosin/bin:$PATH EOSIN_CACHE=/tmp/eosin MPLCONFIGDIR=/tmp/matplotlib NUMBA_CACHE_DIR=/tmp/numba
RUN useradd --create-home eosin
USER eosin
ENTRYPOINT ["/usr/bin/tini", "--", "eosin"]
CMD ["--help"]
