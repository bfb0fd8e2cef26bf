# Two stages: the first builds the program and its adapters, the second runs them with Debian's
# Chromium as an unprivileged user. It keeps to what old builders know (no heredoc, no COPY --link),
# because a Space's builder is not ours to choose. The base images are arguments, so that a test
# or a mirror can put others in their place.
ARG RUST_IMAGE=docker.io/library/rust:1.95-bookworm
ARG BASE_IMAGE=docker.io/library/debian:bookworm-slim

FROM ${RUST_IMAGE} AS build
WORKDIR /src

# The compiler for adapters changes least, so it comes first.
COPY scripts/guest-toolchain scripts/
RUN mkdir target && scripts/guest-toolchain

# Then every dependency, against empty sources: a change in our own sources builds only those.
COPY Cargo.toml Cargo.lock ./
COPY host/Cargo.toml host/
COPY adapters-wasm/sdk/Cargo.toml adapters-wasm/sdk/
COPY adapters-wasm/demo/Cargo.toml adapters-wasm/demo/
COPY adapters-wasm/chatgpt/Cargo.toml adapters-wasm/chatgpt/
COPY adapters-wasm/deepseek/Cargo.toml adapters-wasm/deepseek/
COPY adapters-wasm/gemini/Cargo.toml adapters-wasm/gemini/
COPY adapters-wasm/gemini-enterprise/Cargo.toml adapters-wasm/gemini-enterprise/
COPY adapters-wasm/kimi/Cargo.toml adapters-wasm/kimi/
COPY adapters-wasm/llama-cpp/Cargo.toml adapters-wasm/llama-cpp/
COPY adapters-wasm/open-webui/Cargo.toml adapters-wasm/open-webui/
RUN for folder in host adapters-wasm/*; do mkdir -p $folder/src && touch $folder/src/lib.rs; done \
    && echo 'fn main() {}' > host/src/main.rs \
    && cargo build --locked --release -p webai2api \
    && RUSTC="$(scripts/guest-toolchain)" cargo build --locked --profile guest --target wasm32-unknown-unknown \
        --lib --target-dir target/guest -p webai-adapter-demo

COPY scripts/build-adapters scripts/
COPY wit wit
COPY host host
COPY adapters-wasm adapters-wasm
# cargo goes by time stamps, and these files are older than what was just built from empty ones.
RUN find host adapters-wasm -name '*.rs' -exec touch {} + \
    && cargo build --locked --release -p webai2api \
    && scripts/build-adapters target/release/webai2api \
    && mkdir -p /out/adapters \
    && cp target/release/webai2api /out/ \
    && cp target/adapters/*.wasm /out/adapters/

FROM ${BASE_IMAGE}
# tini reaps what Chromium leaves behind. The fonts cover Latin, emoji, Chinese, Japanese, Korean.
# What is removed serves graphics cards and desktops, and there are none here: a software GL
# driver (LLVM, z3, dri), the Vulkan validation layer, icons, documentation.
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        ca-certificates chromium fonts-liberation fonts-noto-color-emoji fonts-wqy-microhei tini \
    && rm -rf /usr/lib/*/libLLVM*.so* /usr/lib/*/libz3.so* /usr/lib/*/dri \
        /usr/lib/*/libVkLayer_*.so /usr/share/vulkan/explicit_layer.d \
        /usr/share/icons /usr/share/doc /usr/share/man /usr/share/info /usr/share/locale \
        /var/lib/apt/lists/* /var/cache/apt/* /var/cache/fontconfig/* /var/log/*.log /var/log/apt \
    && groupadd --gid 1000 app \
    && useradd --uid 1000 --gid 1000 --create-home --home-dir /home/app --shell /bin/sh app \
    && mkdir -m 0700 /home/app/state \
    && chown 1000:1000 /home/app/state \
    && fc-cache -s

COPY --from=build /out /app
COPY config.hf.yaml LICENSE /app/

# State (profiles, keys, caches) lies on the container's own disk. /data may be mounted for what
# should outlive it; the program copes when it is missing or cannot be written.
ENV HOME=/home/app \
    PATH=/app:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    WEBAI_BUNDLED=/app/adapters \
    WEBAI_DATA_DIR=/home/app/state

USER 1000:1000
WORKDIR /home/app
EXPOSE 7860
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/bin/tini", "--"]
CMD ["webai2api", "serve", "--config", "/app/config.hf.yaml"]
