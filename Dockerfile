# The images of resnet-operator. `docker build .` makes the operator; `--target` names another:
#
#   operator     the controller
#   jobs         what inspects, prepares and measures models
#   fetch        what moves files: fetch and publish, and the init container of serving pods
#   serving      Triton and CANN: runtime AscendOM
#   serving-cpu  Triton and ONNX Runtime: runtime ONNXRuntime (chip CPU)
#   export       PyTorch, which turns a .pth or TorchScript into ONNX
#
# Base images are build arguments; docs/images.md says which fit together, and `make images` checks
# them before it builds. TRITON_IMAGE is anything with /opt/tritonserver and the Python backend; what
# serves is taken out of it and put on SERVING_BASE_IMAGE, which has the same Python, pip, and a C
# library as new as Triton's. CANN_IMAGE is a CANN image of the chip's family whose pyACL knows that
# Python.
ARG PYTHON_IMAGE=docker.io/library/python:3.11-slim-bookworm
ARG TRITON_IMAGE=nvcr.io/nvidia/tritonserver:26.07-py3
ARG SERVING_BASE_IMAGE=docker.io/library/python:3.12-slim-trixie
ARG CANN_IMAGE=quay.io/ascend/cann:9.0.0-310p-openeuler24.03-py3.11

# ---- libraries: only wheels, only those of the lock files -------------------------------------
# pip reads PIP_NO_INDEX and PIP_FIND_LINKS from the environment: a folder of wheels where no index
# can be reached. Nobody has to set them.
FROM ${PYTHON_IMAGE} AS operator-libraries
ARG PIP_NO_INDEX
ARG PIP_FIND_LINKS
COPY requirements/operator.lock /tmp/
# No bytecode for the Kubernetes client's thousand models, which the operator never imports: it
# would be a quarter of the image.
RUN pip install --no-cache-dir --no-compile --no-deps --require-hashes --only-binary :all: \
      --target /opt/libraries -r /tmp/operator.lock \
 && find /opt/libraries -type d -name tests -prune -exec rm -rf {} + \
 && python3 -m compileall -q --invalidation-mode unchecked-hash \
      -x '/kubernetes/(aio/)?client/(api|models)/' /opt/libraries

FROM ${PYTHON_IMAGE} AS jobs-libraries
ARG PIP_NO_INDEX
ARG PIP_FIND_LINKS
COPY requirements/jobs.lock /tmp/
# The test data of onnx and numpy is a third of their size. Bytecode names its source by hash and not
# by time, so that layers can be built twice; with --target pip would write the name of a temporary
# folder into it.
RUN pip install --no-cache-dir --no-compile --no-deps --require-hashes --only-binary :all: \
      --target /opt/libraries -r /tmp/jobs.lock \
 && rm -rf /opt/libraries/onnx/backend/test \
 && find /opt/libraries -type d -name tests -prune -exec rm -rf {} + \
 && python3 -m compileall -q --invalidation-mode unchecked-hash /opt/libraries

FROM ${PYTHON_IMAGE} AS fetch-libraries
ARG PIP_NO_INDEX
ARG PIP_FIND_LINKS
COPY requirements/fetch.lock /tmp/
RUN pip install --no-cache-dir --no-compile --no-deps --require-hashes --only-binary :all: \
      --target /opt/libraries -r /tmp/fetch.lock \
 && find /opt/libraries -type d \( -name tests -o -name SelfTest \) -prune -exec rm -rf {} + \
 && python3 -m compileall -q --invalidation-mode unchecked-hash /opt/libraries

# ---- fetch ------------------------------------------------------------------------------------
FROM ${PYTHON_IMAGE} AS fetch
ENV PYTHONPATH=/opt/resnet-operator/operator:/opt/libraries \
    PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
COPY --from=fetch-libraries /opt/libraries /opt/libraries
COPY operator/resnet_contract /opt/resnet-operator/operator/resnet_contract
COPY operator/resnet_jobs /opt/resnet-operator/operator/resnet_jobs
RUN python3 -m compileall -q --invalidation-mode unchecked-hash /opt/resnet-operator
ARG VERSION=0.0.0
LABEL org.opencontainers.image.title="resnet-fetch" \
      org.opencontainers.image.description="Moves the models and artifacts of resnet-operator" \
      org.opencontainers.image.version="${VERSION}"
USER 1000:1000
CMD ["python3", "-m", "resnet_jobs"]

# ---- jobs -------------------------------------------------------------------------------------
FROM ${PYTHON_IMAGE} AS jobs
# ONNX Runtime reports to Microsoft unless told not to.
ENV ORT_DISABLE_TELEMETRY=1
ENV PYTHONPATH=/opt/resnet-operator/operator:/opt/libraries \
    PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
COPY --from=jobs-libraries /opt/libraries /opt/libraries
COPY operator/resnet_contract /opt/resnet-operator/operator/resnet_contract
COPY operator/resnet_jobs /opt/resnet-operator/operator/resnet_jobs
# Unchecked bytecode: the sources of an image never change, and a read-only root could not rewrite it.
RUN python3 -m compileall -q --invalidation-mode unchecked-hash /opt/resnet-operator
ARG VERSION=0.0.0
LABEL org.opencontainers.image.title="resnet-jobs" \
      org.opencontainers.image.description="Inspects, prepares and measures the models of resnet-operator" \
      org.opencontainers.image.version="${VERSION}"
USER 1000:1000
CMD ["python3", "-m", "resnet_jobs"]

# ---- serving: Triton's core and Python backend, out of the whole image ---------------------------
FROM ${TRITON_IMAGE} AS triton-taken
USER root
COPY docker/triton_files.py /tmp/
RUN python3 /tmp/triton_files.py take /out

FROM ${SERVING_BASE_IMAGE} AS triton-settled
USER root
COPY docker/triton_files.py /tmp/
COPY --from=triton-taken /out /out
RUN python3 /tmp/triton_files.py settle /out

# ---- serving: what both runtimes need ---------------------------------------------------------
FROM ${SERVING_BASE_IMAGE} AS triton-numpy
USER root
COPY --from=triton-settled /opt/tritonserver /opt/tritonserver
ENV PATH=/opt/tritonserver/bin:${PATH}
ARG PIP_NO_INDEX
ARG PIP_FIND_LINKS
# Distributions mark their Python as theirs; in an image nobody else installs into it.
ARG PIP_BREAK_SYSTEM_PACKAGES=1
COPY requirements/serving.lock /opt/resnet-operator/
# The loader's cache serves every way of starting a program, and needs no variable that a pod could
# replace. CANN looks its user up by name: uid 1000 must stand in /etc/passwd. SOURCE_DATE_EPOCH has pip
# write bytecode by hash, here under the names that the files keep.
RUN echo /opt/tritonserver/lib > /etc/ld.so.conf.d/tritonserver.conf && ldconfig \
 && SOURCE_DATE_EPOCH=1 pip install --no-cache-dir --no-deps --require-hashes --only-binary :all: \
      -r /opt/resnet-operator/serving.lock \
 && find "$(python3 -c 'import numpy; print(numpy.__path__[0])')" -type d -name tests -prune \
      -exec rm -rf {} + \
 && { grep -q ':x:1000:' /etc/group || echo 'HwHiAiUser:x:1000:' >> /etc/group; } \
 && { grep -q ':x:1000:' /etc/passwd \
      || echo 'HwHiAiUser:x:1000:1000::/tmp/home:/bin/sh' >> /etc/passwd; }

# ---- serving: Triton with ONNX Runtime ----------------------------------------------------------
FROM triton-numpy AS serving-cpu
ENV ORT_DISABLE_TELEMETRY=1
ARG PIP_NO_INDEX
ARG PIP_FIND_LINKS
ARG PIP_BREAK_SYSTEM_PACKAGES=1
COPY requirements/serving-cpu.lock /opt/resnet-operator/
RUN SOURCE_DATE_EPOCH=1 pip install --no-cache-dir --no-deps --require-hashes --only-binary :all: \
      -r /opt/resnet-operator/serving-cpu.lock
ARG VERSION=0.0.0
LABEL org.opencontainers.image.title="resnet-serving-cpu" \
      org.opencontainers.image.description="Triton with ONNX Runtime in the Python backend" \
      org.opencontainers.image.version="${VERSION}"
USER 1000:1000

# ---- serving: Triton with CANN ------------------------------------------------------------------
FROM ${CANN_IMAGE} AS cann

FROM triton-numpy AS serving
COPY --from=cann /usr/local/Ascend /usr/local/Ascend
# From CANN 8.5 on the toolkit lies in another folder; one name serves both.
RUN cd /usr/local/Ascend && { [ -e ascend-toolkit/latest ] \
 || { mkdir -p ascend-toolkit && ln -s ../cann ascend-toolkit/latest; }; }
# As the stock CANN images set them: nothing here runs through a shell that would read set_env.sh.
ENV ASCEND_TOOLKIT_HOME=/usr/local/Ascend/ascend-toolkit/latest
ENV ASCEND_HOME_PATH=${ASCEND_TOOLKIT_HOME} \
    ASCEND_AICPU_PATH=${ASCEND_TOOLKIT_HOME} \
    ASCEND_OPP_PATH=${ASCEND_TOOLKIT_HOME}/opp \
    PYTHONPATH=${ASCEND_TOOLKIT_HOME}/python/site-packages:${ASCEND_TOOLKIT_HOME}/opp/built-in/op_impl/ai_core/tbe \
    LD_LIBRARY_PATH=${ASCEND_TOOLKIT_HOME}/lib64:${ASCEND_TOOLKIT_HOME}/lib64/plugin/opskernel:${ASCEND_TOOLKIT_HOME}/lib64/plugin/nnengine:${ASCEND_TOOLKIT_HOME}/opp/built-in/op_impl/ai_core/tbe/op_tiling:/usr/local/Ascend/driver/lib64:/usr/local/Ascend/driver/lib64/common:/usr/local/Ascend/driver/lib64/driver${LD_LIBRARY_PATH:+:${LD_LIBRARY_PATH}}
ARG VERSION=0.0.0
LABEL org.opencontainers.image.title="resnet-serving" \
      org.opencontainers.image.description="Triton with CANN in the Python backend" \
      org.opencontainers.image.version="${VERSION}"
USER 1000:1000

# ---- export: PyTorch -----------------------------------------------------------------------------
# Any torch from 1.13 does. Python's own index has wheels with CUDA, of several gigabytes: give the
# index of PyTorch's CPU wheels as PIP_INDEX_URL, or a mirror of it as PIP_EXTRA_INDEX_URL.
# Which wheel it is depends on the index, so there is no lock file here: name your own, with hashes, as
# EXPORT_LOCK. Nothing of the operator is in this image; the Job brings its script along.
FROM ${PYTHON_IMAGE} AS export
ARG TORCH=torch>=2.4,<2.9
ARG EXPORT_LOCK
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ARG PIP_NO_INDEX
ARG PIP_FIND_LINKS
ARG PIP_BREAK_SYSTEM_PACKAGES=1
# From 2.0 on the exporter of torch wants the package onnx.
COPY requirements /tmp/requirements
RUN if [ -n "${EXPORT_LOCK}" ]; then \
      SOURCE_DATE_EPOCH=1 pip install --no-cache-dir --no-deps --require-hashes --only-binary :all: \
        -r "/tmp/requirements/${EXPORT_LOCK}"; \
    else pip install --no-cache-dir --only-binary :all: "${TORCH}" numpy onnx; fi \
 && rm -rf /tmp/requirements \
 && cd /tmp && python3 -c 'import torch, onnx; torch.zeros(1)'
ARG VERSION=0.0.0
LABEL org.opencontainers.image.title="resnet-export" \
      org.opencontainers.image.description="PyTorch, which exports to ONNX" \
      org.opencontainers.image.version="${VERSION}"
USER 1000:1000

# ---- operator: last, so that it is the default --------------------------------------------------
FROM ${PYTHON_IMAGE} AS operator
ENV PYTHONPATH=/opt/resnet-operator/operator:/opt/libraries \
    PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
COPY --from=operator-libraries /opt/libraries /opt/libraries
# The same layout as the repository: the code finds templates/ beside operator/.
COPY templates /opt/resnet-operator/templates
COPY operator/resnet_runtime /opt/resnet-operator/operator/resnet_runtime
COPY operator/resnet_contract /opt/resnet-operator/operator/resnet_contract
COPY operator/resnet_operator /opt/resnet-operator/operator/resnet_operator
# The loader of PyTorch files, which serving pods get from a ConfigMap.
COPY operator/resnet_jobs/driver /opt/resnet-operator/operator/resnet_jobs/driver
RUN python3 -m compileall -q --invalidation-mode unchecked-hash /opt/resnet-operator
ARG VERSION=0.0.0
LABEL org.opencontainers.image.title="resnet-operator" \
      org.opencontainers.image.description="Turns a ResNetService into a running Triton service" \
      org.opencontainers.image.version="${VERSION}"
USER 65532:65532
ENTRYPOINT ["python3", "-m", "resnet_operator"]
