# The store server: Debian's nginx. The operator mounts its configuration
# (templates/store-nginx.conf) at /etc/nginx/nginx.conf; production uses nginxinc/nginx-unprivileged.
ARG BASE_IMAGE
FROM ${BASE_IMAGE}
COPY nginx /
RUN nginx -V
LABEL org.opencontainers.image.title="resnet-store" \
      org.opencontainers.image.description="nginx with WebDAV, for the artifact store"
USER 1000:1000
EXPOSE 8080
ENTRYPOINT ["nginx", "-e", "/dev/stderr", "-g", "daemon off;"]
