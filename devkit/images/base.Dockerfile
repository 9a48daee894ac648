# Debian with Python 3.11, for machines that reach no registry. Its context is the rootfs that
# materials.py makes with mmdebstrap.
FROM scratch
ADD rootfs.tar /
COPY pip /usr/local/bin/pip
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8
LABEL org.opencontainers.image.title="resnet-devkit-base" \
      org.opencontainers.image.description="Debian bookworm, essential packages and Python 3.11"
