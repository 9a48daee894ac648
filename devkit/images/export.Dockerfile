# PyTorch for the container `export`: Debian's, for machines that reach no registry. Its context is
# the tree that materials.py takes out of Debian's packages. `docker build --target export .` makes
# the same from PyTorch's own wheels.
ARG BASE_IMAGE
FROM ${BASE_IMAGE}
COPY torch /
# An export as the Job does it: it proves the libraries complete, and leaves the bytecode of what is
# imported, which a read-only root could not write.
RUN ldconfig \
 && cd /tmp \
 && python3 -c 'import io, torch; f = io.BytesIO(); n = torch.nn.Conv2d(3, 4, 3).eval(); \
torch.save(n.state_dict(), f); f.seek(0); n.load_state_dict(torch.load(f, weights_only=True)); \
torch.onnx.export(torch.jit.script(n), torch.zeros(1, 3, 8, 8), io.BytesIO(), opset_version=13); \
torch.onnx.export(n, torch.zeros(1, 3, 8, 8), io.BytesIO(), opset_version=13)' \
 && rm -rf /tmp/*
LABEL org.opencontainers.image.title="resnet-export" \
      org.opencontainers.image.description="Debian's PyTorch 1.13, which exports to ONNX"
USER 1000:1000
