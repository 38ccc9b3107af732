# selfhost in a container, which judges the limits of that container:
#
#   docker build --tag selfhost .
#   docker run --rm --memory 8g selfhost check mistral-7b
#   docker run --rm --volume "$PWD:/data:ro" selfhost check /data/model.gguf
#
# It needs no network to answer: add `--network none`.
FROM python:3.13-slim AS build
WORKDIR /source
COPY pyproject.toml setup.py README.md LICENSE ./
COPY tools tools
COPY specs specs
COPY selfhost selfhost
RUN pip wheel --no-cache-dir --wheel-dir /wheels .

FROM python:3.13-slim
COPY --from=build /wheels /wheels
RUN pip install --no-cache-dir --no-index /wheels/*.whl \
    && rm -r /wheels \
    && useradd --uid 10001 --create-home selfhost
USER 10001
WORKDIR /data
ENTRYPOINT ["selfhost"]
CMD ["--help"]
