"""References and what a mirror makes of them: the chart and the release's bundle agree on these."""

D = "sha256:" + "0" * 64
MIRROR = "registry.internal:5000/mirror"

MIRRORED = [
    # reference, mirror, below the mirror, why
    ("resnet-jobs:1", MIRROR, f"{MIRROR}/resnet-jobs:1", "no host: all of it goes below"),
    ("team/jobs:1", MIRROR, f"{MIRROR}/team/jobs:1", "a folder of Docker Hub is no host"),
    ("docker.io/a/nginx:1", MIRROR, f"{MIRROR}/a/nginx:1", "the host goes, the path stays"),
    ("docker.io/library/busybox:1", MIRROR, f"{MIRROR}/library/busybox:1", "library is a path"),
    ("quay.io/ascend/cann:9", "registry.internal", "registry.internal/ascend/cann:9", "no prefix"),
    ("localhost/jobs:dev", MIRROR, f"{MIRROR}/jobs:dev", "localhost is a host without a dot"),
    ("localhost:5000/jobs:dev", MIRROR, f"{MIRROR}/jobs:dev", "a port makes a host"),
    ("registry:5000/jobs:dev", MIRROR, f"{MIRROR}/jobs:dev", "a port makes a host of any name"),
    ("[fd00::1]:5000/jobs:1", MIRROR, f"{MIRROR}/jobs:1", "an IPv6 address is a host"),
    ("quay.io/a/b/c/d:1", MIRROR, f"{MIRROR}/a/b/c/d:1", "a deep path stays whole"),
    (f"quay.io/a/b@{D}", MIRROR, f"{MIRROR}/a/b@{D}", "a digest stays"),
    (f"quay.io/a/b:1@{D}", MIRROR, f"{MIRROR}/a/b:1@{D}", "tag and digest stay"),
    ("quay.io/a/b:1", f"{MIRROR}/", f"{MIRROR}/a/b:1", "a slash at the end is one too many"),
    (f"{MIRROR}/a/b:1", MIRROR, f"{MIRROR}/a/b:1", "what is in the mirror is not moved again"),
    ("registry.internal:5000/b:1", MIRROR, f"{MIRROR}/b:1", "the same host, not the same mirror"),
    ("quay.io/mirror/b:1", "quay.io/mirror-2", "quay.io/mirror-2/mirror/b:1", "alike is not equal"),
    ("quay.io/a/b:1", "[fd00::1]:5000", "[fd00::1]:5000/a/b:1", "a mirror by its address"),
    ("quay.io/a/b:1", "", "quay.io/a/b:1", "no mirror: as it is"),
    ("jobs:1", "", "jobs:1", "no mirror, no host: as it is"),
]
