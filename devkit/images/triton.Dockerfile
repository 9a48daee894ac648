# Triton 24.10 out of PyPI's nvidia-pytriton wheel, for devkit and tests only: it is a real Triton,
# but an old one with published security holes. Its context is the tree that materials.py lays out.
ARG BASE_IMAGE
FROM ${BASE_IMAGE}
COPY tritonserver /opt/tritonserver
# The programs find their libraries by a path relative to themselves; the loader's cache serves
# every other order of starting them, and needs no variable that a pod could replace.
RUN echo /opt/tritonserver/lib > /etc/ld.so.conf.d/tritonserver.conf && ldconfig \
 && cd /opt/tritonserver \
 && ! ldd bin/tritonserver backends/python/libtriton_python.so \
      backends/python/triton_python_backend_stub | grep 'not found'
ENV PATH=/opt/tritonserver/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
LABEL org.opencontainers.image.title="resnet-devkit-triton" \
      org.opencontainers.image.description="Triton 24.10 from the nvidia-pytriton wheel: for tests, not for production"
USER 1000:1000
