# The image of nodes and proxies: the program on a small Debian. BASE is one whose C library is at least the builder's.
#
#     make release
#     make install DESTDIR="$PWD/target/image"
#     docker build -f deploy/kubernetes/node.Dockerfile target/image
ARG BASE=debian:bookworm-slim
FROM ${BASE}
COPY usr/local/bin/nitro-elect /usr/local/bin/nitro-elect
USER 10001:10001
ENTRYPOINT ["/usr/local/bin/nitro-elect"]
