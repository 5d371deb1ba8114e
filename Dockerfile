# SPDX-License-Identifier: Apache-2.0
# The image of every role: `docker run IMAGE worker --set …`. tools/image builds it (SOURCE_DATE_EPOCH, commit, version);
# deploy/image/packages.lock pins what the build stage installs, so that the same commit gives the same image as long as the
# mirror has these versions. The last stage has Debian slim, the program, and only those libraries that it loads.
ARG BASE=docker.io/library/debian:bookworm-slim

FROM ${BASE} AS build
ARG LOCK=deploy/image/packages.lock
COPY ${LOCK} /tmp/packages.lock
# What the base has need not be copied to the last stage.
RUN dpkg-query -W -f='${Package}\n' | sort >/tmp/base-packages \
 && apt-get update -qq \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(grep -v '^#' /tmp/packages.lock) >/tmp/apt.log 2>&1 \
 || { tail -n 5 /tmp/apt.log; echo "deploy/image/packages.lock names what the mirror no longer has: run tools/image lock"; exit 1; }
WORKDIR /src
COPY . .
ARG COMMIT=unknown
RUN meson setup /tmp/build --buildtype=release -Db_lto=true -Dcommit=${COMMIT} >/tmp/meson.log && ninja -C /tmp/build grisaille || { tail -n 20 /tmp/meson.log; exit 1; }
RUN deploy/image/collect /tmp/build/grisaille /tmp/base-packages /out

FROM ${BASE}
ARG VERSION=0.1.0
ARG COMMIT=unknown
LABEL org.opencontainers.image.title="grisaille" \
      org.opencontainers.image.description="Catalogs of image URLs in, verified gray images out" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${COMMIT}" \
      org.opencontainers.image.base.name="docker.io/library/debian:bookworm-slim"
COPY --from=build /out/ /
# Others must reach the metrics and probes; logs go to a collector, in ECS names, and nothing but them (docs/operations.md).
ENV GRISAILLE_METRICS_LISTEN=0.0.0.0:9480 GRISAILLE_LOG_FORMAT=ecs MONGOC_DISABLE_SHM=1
USER 65532:65532
WORKDIR /tmp
EXPOSE 8480 9480
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=3 CMD ["/usr/local/bin/grisaille-healthcheck"]
ENTRYPOINT ["/usr/local/bin/grisaille"]
CMD ["--help"]
