"""Every reason a condition can have: the word, what it means, and what a person can do.

The same word stands in the condition, the event, the metric and the operations page, which is
generated from this table.
"""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """One cause. `meaning` and `remedy` are what the operations page prints."""

    meaning: str
    remedy: str

    def __new__(cls, value: str, meaning: str, remedy: str) -> Reason:
        self = str.__new__(cls, value)
        self._value_ = value
        self.meaning = meaning
        self.remedy = remedy
        return self

    READY = ("Ready", "The current spec is fully realised.", "Nothing.")
    PENDING = ("Pending", "The operator has seen the object and is preparing it.", "Wait.")
    FETCHING = ("Fetching", "The model is being fetched.", "Wait; the Job's log shows progress.")
    CONVERTING = ("Converting", "ATC is converting the model.", "Wait; the Job's log has stages.")
    VALIDATING = (
        "Validating",
        "A candidate of the new revision is being measured.",
        "Wait; what served before serves on.",
    )
    VALIDATED = ("Validated", "The artifact has passed its gate.", "Nothing.")
    ROLLING_OUT = ("RollingOut", "Pods of a new revision are starting.", "Wait.")
    ANALYZING = (
        "Analyzing",
        "A share of the requests goes to a new revision, which is compared with the old one.",
        "Wait; what does worse is withdrawn, and status.rollout.analysis says how far it is.",
    )
    LOADING = ("Loading", "Triton is loading the model.", "Wait.")
    SUSPENDED = ("Suspended", "spec.suspend is true.", "Set spec.suspend to false to serve.")
    SCALED_TO_ZERO = (
        "ScaledToZero",
        "spec.serving.replicas is 0.",
        "Set spec.serving.replicas to 1 or more to serve.",
    )
    CONVERTED = ("Converted", "The artifact was made for this object.", "Nothing.")
    REUSED = ("Reused", "An artifact that was there already is used.", "Nothing.")
    INVALID_SPEC = ("InvalidSpec", "The spec cannot work.", "Change what the message names.")
    MODEL_NOT_FOUND = (
        "ModelNotFound",
        "There is no file at spec.model.uri.",
        "Correct the URI or put the file there; then set the retry annotation.",
    )
    ACCESS_DENIED = (
        "AccessDenied",
        "The source refused the download.",
        "Name another Secret in model.credentialsSecretRef, or fix it and set the annotation.",
    )
    CHECKSUM_MISMATCH = (
        "ChecksumMismatch",
        "The file is not the one that a digest names.",
        "Correct spec.model.sha256, or find out who changed the file.",
    )
    UNSUPPORTED_MODEL = (
        "UnsupportedModel",
        "The file is not what its format says, or cannot be converted.",
        "Do what the message says; mostly export the model again.",
    )
    DOWNLOAD_FAILED = (
        "DownloadFailed",
        "The source could not be reached or broke off.",
        "Check host, network policy and proxy; the operator tries again by itself.",
    )
    CONVERSION_FAILED = (
        "ConversionFailed",
        "ATC refused the model.",
        "Read ATC's code and sentence; the ArtifactReady condition has the log's tail.",
    )
    QUANTIZATION_FAILED = (
        "QuantizationFailed",
        "AMCT could not quantize the model.",
        "Read AMCT's sentence; a layer that it cannot take goes into quantization.skipLayers.",
    )
    CONVERSION_TIMEOUT = (
        "ConversionTimeout",
        "ATC did not end within spec.conversion.timeoutSeconds.",
        "Raise spec.conversion.timeoutSeconds or resources; it is then tried again.",
    )
    OUT_OF_MEMORY = (
        "OutOfMemory",
        "A container or the chip ran out of memory.",
        "Raise the resources that the message names, or lower batch sizes and instances.",
    )
    EPHEMERAL_STORAGE_EXCEEDED = (
        "EphemeralStorageExceeded",
        "The node's disk has no room for the Job.",
        "Free space on the node or choose another with conversion.nodeSelector.",
    )
    ARTIFACT_MISSING = (
        "ArtifactMissing",
        "The store has lost the artifact, or what it has is damaged.",
        "Wait, it is made again; when that has not helped, look at its volume and then retry.",
    )
    STORE_FULL = (
        "StoreFull",
        "The store's volume has no room for the artifact.",
        "Enlarge the claim resnet-store or the bucket's quota, or delete services.",
    )
    STORE_UNAVAILABLE = (
        "StoreUnavailable",
        "The store does not answer.",
        "Look at the Deployment resnet-store and its claim, or at the bucket and its keys.",
    )
    RESULT_LOST = (
        "ResultLost",
        "The Job ended without a result.",
        "Nothing; the operator makes it again and finds the artifact in the store.",
    )
    MESSAGE_INVALID = (
        "MessageInvalid",
        "A container of the Job left a message that cannot be read.",
        "Use an image of this release's family; the operator makes the Job again as after a loss.",
    )
    RECORD_INVALID = (
        "RecordInvalid",
        "A ConfigMap of the operator's own cannot be read: somebody has changed it.",
        "Delete the ConfigMap that the message names; what it held is made again.",
    )
    INTERNAL_ERROR = (
        "InternalError",
        "The operator failed at this object; no other object is concerned.",
        "Report the message, with the lines of the operator's log that have its number.",
    )
    IMAGE_PULL_FAILED = (
        "ImagePullFailed",
        "An image cannot be pulled.",
        "Correct the image's name, or add a pull secret.",
    )
    UNSCHEDULABLE = (
        "Unschedulable",
        "No node can take the pod.",
        "Free a chip, add a node, or correct spec.accelerator.",
    )
    VOLUME_MOUNT_FAILED = (
        "VolumeMountFailed",
        "A volume of the pod is missing or cannot be mounted.",
        "Create the PersistentVolumeClaim or ConfigMap that the message names.",
    )
    CONTAINER_CONFIG_ERROR = (
        "ContainerConfigError",
        "The kubelet cannot make the container.",
        "Create the Secret or ConfigMap that spec.serving.env names.",
    )
    QUOTA_EXCEEDED = (
        "QuotaExceeded",
        "A quota of the namespace refuses the pod.",
        "Raise the quota or lower replicas and resources.",
    )
    POD_SECURITY_FORBIDDEN = (
        "PodSecurityForbidden",
        "Pod Security of the namespace refuses the pod.",
        "Remove what is privileged from the operator's settings.",
    )
    CRASH_LOOPING = (
        "CrashLooping",
        "The serving container ended and is started again.",
        "Read the message and the pod's log.",
    )
    MODEL_LOAD_FAILED = (
        "ModelLoadFailed",
        "Triton cannot load the model.",
        "Read the message; mostly image and artifact do not fit each other.",
    )
    CHIP_MISMATCH = (
        "ChipMismatch",
        "The artifact is made for another chip: the pod was given a wrong one, or an OM came so.",
        "Correct spec.accelerator.chip, select the right nodes, or bring another OM.",
    )
    VALIDATION_FAILED = (
        "ValidationFailed",
        "The artifact does not meet a threshold of spec.validation, and receives no traffic.",
        "Convert otherwise or bring a better model; a changed threshold is judged at once.",
    )
    EVALUATION_FAILED = (
        "EvaluationFailed",
        "The candidate could not be measured.",
        "Do what the message says; the log of the container evaluate has more.",
    )
    WAITING_FOR_CHIP = (
        "WaitingForChip",
        "The candidate that is to be measured waits for a free chip.",
        "Free a chip, add a node, or write validation.onNoFreeChip: BorrowReplica.",
    )
    PROGRESS_DEADLINE_EXCEEDED = (
        "ProgressDeadlineExceeded",
        "The rollout made no progress in time.",
        "Look at the pods; raise rollout.progressDeadlineSeconds if loading takes long.",
    )
    ROLLED_BACK = (
        "RolledBack",
        "The new revision did not become ready, or did worse; the last good one serves again.",
        "Read why, and change the spec; or set the retry annotation to try the same again.",
    )
    COUNTERS_UNREADABLE = (
        "CountersUnreadable",
        "What old and new pods count, or answer, cannot be read, and so not be compared.",
        "Do what the message says; mostly a NetworkPolicy keeps the operator or the pods out.",
    )
    ERROR_RATIO_EXCEEDED = (
        "ErrorRatioExceeded",
        "More of a new revision's requests failed than of the old one's; it was withdrawn.",
        "Read the log of its pods, and change the spec; or raise analysis.maxErrorRatio.",
    )
    LATENCY_EXCEEDED = (
        "LatencyExceeded",
        "A new revision answered slower than the old one; it was withdrawn.",
        "Change what makes it slow; or raise rollout.analysis.maxP99Increase.",
    )
    ANSWERS_DIFFER = (
        "AnswersDiffer",
        "A new revision answers otherwise than the old one; it was withdrawn.",
        "Compare the two models; or lower rollout.analysis.minAgreement.",
    )
    REVISION_NOT_FOUND = (
        "RevisionNotFound",
        "spec.rollout.pinRevision names no revision that may serve.",
        "Write one of the names in the message, or remove pinRevision.",
    )
    NAME_CONFLICT = (
        "NameConflict",
        "Another object of the needed name is managed by another owner.",
        "Rename the ResNetService or remove the other object.",
    )
    REVISION_REPLACED = (
        "RevisionReplaced",
        "The ConfigMap of a revision was not written by this operator.",
        "Find out who has rights on ConfigMaps here; the operator has written its own again.",
    )
    ROUTE_REFUSED = (
        "RouteRefused",
        "A Gateway does not accept the HTTPRoute; the pods serve.",
        "Correct serving.httpRoute or the Gateway; `kubectl describe httproute` has its words.",
    )
    KIND_MISSING = (
        "KindMissing",
        "The cluster lacks a kind of object that the spec needs.",
        "Install the Gateway API's CRDs, or use serving.ingress; it is looked for once a minute.",
    )
    TWO_OPERATORS = (
        "TwoOperators",
        "Two installations of the operator look after this namespace; the first one acts.",
        "Uninstall one of them, or give each its own watchNamespaces.",
    )
    REJECTED = (
        "Rejected",
        "The API server refused what the operator wants to write.",
        "Read the server's words; mostly a policy or missing rights.",
    )
    ADMISSION_DENIED = (
        "AdmissionDenied",
        "A webhook or an admission policy of the cluster refuses the pod.",
        "Read its words in the condition; change the spec, or ask who runs it.",
    )
    PROBE_FAILING = (
        "ProbeFailing",
        "Triton runs but does not answer its probes.",
        "Read its log; raise serving.loadTimeoutSeconds when the model only loads slowly.",
    )
    EVICTED = (
        "Evicted",
        "The kubelet evicted the pod: the node is low on memory, disk or processes.",
        "Free what the node lacks, or ask for as much as is used in resources.requests.",
    )
    NODE_LOST = (
        "NodeLost",
        "The node of a pod was shut down or does not answer.",
        "Look at the node; the pod is made again on another one.",
    )
    SIDECAR_RUNNING = (
        "SidecarRunning",
        "A container that a mesh or a webhook has put into a Job's pod runs on after ours ended.",
        "Opt the pods out by helperPods in the chart; the result is taken and the Job is ended.",
    )
    CHIP_UNHEALTHY = (
        "ChipUnhealthy",
        "The node had no healthy chip for a pod, or a chip under a serving pod has fallen ill.",
        "Look at the chips of the node with npu-smi; delete a pod that serves on a sick one.",
    )
    POD_LOST = (
        "PodLost",
        "The node ended the pod or did not take it.",
        "Nothing; the pod is made again.",
    )
