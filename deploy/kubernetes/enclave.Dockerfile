# The image that runs the enclave on a parent instance: nitro-cli, the enclave's image and what keeps it running.
#
#     make eif
#     make release
#     make install DESTDIR="$PWD/target/image"
#     cp target/eif/nitro-elect.eif target/image/usr/local/share/nitro-elect/
#     docker build -f deploy/kubernetes/enclave.Dockerfile target/image
ARG BASE=amazonlinux:2023
FROM ${BASE}
RUN dnf install --assumeyes aws-nitro-enclaves-cli && dnf clean all
COPY usr/local/libexec/nitro-elect/enclave-keeper /usr/local/libexec/nitro-elect/enclave-keeper
COPY usr/local/share/nitro-elect/nitro-elect.eif /usr/local/share/nitro-elect/nitro-elect.eif
ENTRYPOINT ["/usr/local/libexec/nitro-elect/enclave-keeper"]
